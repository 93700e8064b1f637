# SPDX-License-Identifier: AGPL-3.0-or-later
"""A SIPp scenario being written: what one party sends, and what must be in each message that it gets.

A check is (word, expression, variable...): the word names what is looked at, as tests/e2e/sipp/lines.tsv does; an
expression that begins with "!" must not match. A variable keeps a group of the expression; one with "=" before it must
be found to hold that already. Each line of the table must be checked for every word that the table asks of it, in
every scenario that has the line: else no scenario is written. SIPp does the comparing."""
import itertools
import os
import re

HERE = os.path.dirname(os.path.abspath(__file__))
BODY = ("c=", "o=", "m=", "codecs", "direction", "sipfrag")
MESSAGE = ("Request-URI", "one Via")
SDP = """v=0
o={who} 1 {version} IN IP4 [local_ip]
s=-
c=IN IP4 [media_ip]
t=0 0
m=audio [media_port] RTP/AVP {types}
a=rtpmap:101 telephone-event/8000
{direction}"""
VIA = "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]\nMax-Forwards: 70\n"


def demands():
    """Line -> (message, the words asked of it), in the table's order."""
    with open(f"{HERE}/sipp/lines.tsv", encoding="utf-8") as f:
        rows = [row.rstrip("\n").split("\t") for row in f if row.strip() and not row.startswith("#")]
    return {row[0]: (row[1], [word.strip() for word in row[2].split(",")] if len(row) > 2 else []) for row in rows}


def quoted(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


def place(word):
    if word in BODY:
        return 'search_in="body"'
    return 'search_in="msg"' if word in MESSAGE else f'search_in="hdr" header="{word}:"'


class Party:
    demanded = demands()
    spoilt = int(os.environ.get("SPOIL", "0"))  # the number of a check that is turned round: it must then fail
    numbers = itertools.count(1)

    def __init__(self, name, port):
        self.name, self.contact, self.steps, self.version, self.cseq = name, f"{name}@127.0.0.1:{port}", [], 0, {}
        self.used, self.shared, self.lines = set(), [], {}

    def put(self, text):
        self.steps.append(text)

    def write(self, folder, title):
        """Whatever was not as it had to be goes to the label "wrong", where nothing comes."""
        with open(f"{folder}/{self.name}.xml", "w", encoding="utf-8") as f:
            f.write(f'<?xml version="1.0" encoding="UTF-8"?>\n<scenario name="{self.name} {title}">\n')
            f.write(f'<Global variables="{",".join(self.shared)}"/>\n' if self.shared else "")
            f.write("\n".join(self.steps))
            f.write('\n<nop next="over"/>\n<label id="wrong"/>\n<recv request="INVITE" timeout="1"/>\n'
                    '<label id="over"/>\n<nop/>\n')
            f.write(f'<Reference variables="{",".join(sorted(self.used))}"/>\n' if self.used else "")
            f.write("</scenario>\n")

    def sent(self, line):
        self.lines.setdefault(line, [])

    def message(self, text, again=True):
        self.put(f"<send{' retrans=' + chr(34) + '500' + chr(34) if again else ''}><![CDATA[\n{text}\n]]></send>")

    def body(self, direction, types):
        self.version += 1
        return "Content-Type: application/sdp\nContent-Length: [len]\n\n" + SDP.format(
            who=self.name, version=self.version, types=types, direction=f"a={direction}")

    # -- what is looked at

    def meets(self, line, wanted):
        """Nothing that the table asks of this line may be forgotten."""
        if line not in self.demanded:
            raise SystemExit(f"{self.name}: line {line} is not in sipp/lines.tsv")
        words = [check[0] for check in wanted]
        missing = [word for word in self.demanded[line][1] if word not in words]
        if missing:
            raise SystemExit(f"{self.name}: line {line} has no check of {', '.join(missing)}")
        self.lines.setdefault(line, [])
        self.lines[line] += [word for word in words if word not in self.lines[line]]

    def one(self, check, where):
        """Actions for one check, those that must come after all others, and whether the expression must not match."""
        word, expression, *names = check
        number, inverse, expression = next(self.numbers), expression.startswith("!"), expression.lstrip("!")
        turned, same = number == self.spoilt, [name[1:] for name in names if name.startswith("=")]
        kept = [name.replace("=", "now_") for name in names]
        self.used.update([*kept, "all"])
        must_not = inverse != (turned and not same)
        action = f'<ereg regexp="{quoted(expression)}" {where} check_it{"_inverse" if must_not else ""}="true" ' \
                 f'assign_to="{",".join(["all", *kept])}"/>'
        after = "".join(f'<strcmp assign_to="d" variable="{name}" ' +
                        ('value="spoilt"/>' if turned else f'variable2="now_{name}"/>') +
                        '<multiply assign_to="d" variable="d"/><add assign_to="differ" variable="d"/>' for name in same)
        return number, action, after, must_not

    def compared(self, compares):
        """The recv or nop goes wrong if one of them found a difference: SIPp leaves it at once only by itself. A nop
        behind it would not do, the next message could come before."""
        if not compares:
            return "", ""
        self.used.update(["d", "differ", "differs"])
        return ' next="wrong" test="differs"', '<assign assign_to="differ" value="0"/>' + compares + \
            '<test assign_to="differs" variable="differ" compare="not_equal" value="0"/>'

    def checks(self, line, wanted):
        """Attributes and actions for the message."""
        self.meets(line, wanted)
        actions, compares = "", ""
        for check in wanted:
            _, action, after, _ = self.one(check, place(check[0]))
            actions, compares = actions + action, compares + after
        attributes, last = self.compared(compares)
        return attributes, f"<!-- {line} --><action>{actions}{last}</action>"

    def request(self, line, method, *wanted):
        """A request must come now."""
        attributes, actions = self.checks(line, wanted)
        self.put(f'<recv request="{method}"{attributes}>{actions}</recv>')

    def response(self, line, status, *wanted, within=None):
        attributes, actions = self.checks(line, wanted)
        limit = f' timeout="{within}"' if within else ""
        self.put(f'<recv response="{status}"{limit}{attributes}>{actions}</recv>')

    # -- an INVITE that begins one of several calls

    def first_invite(self, *branches):
        """Each branch (label, header, expression). What the INVITE says is kept: `kept` looks at it later."""
        words = ("From", "To", "Call-ID", "CSeq", "Max-Forwards", "Contact", "Supported", "Allow", "Require",
                 "Replaces", "Referred-By", "Via", "User-Agent")
        keep = [f'<ereg regexp=".*" {place(word)} assign_to="h_{self.variable(word)}"/>' for word in words]
        keep += ['<ereg regexp=".*" search_in="msg" assign_to="h_message"/>',
                 '<ereg regexp=".*" search_in="body" assign_to="h_body"/>']
        go = []
        for label, word, expression in branches:
            keep.append(f'<ereg regexp="{quoted(expression)}" {place(word)} assign_to="is_{label}"/>')
            go.append(f'\n<nop next="{label}" test="is_{label}"/>')
        self.used.update(f"h_{self.variable(word)}" for word in [*words, "message", "body"])
        self.put(f'<recv request="INVITE"><action>{"".join(keep)}</action></recv>{"".join(go)}')

    @staticmethod
    def variable(word):
        return re.sub("[^A-Za-z]", "_", word)

    def kept(self, line, *wanted):
        """Checks of the INVITE that first_invite has taken. SIPp lets a check without a message fail in silence: it
        is asked by label instead."""
        self.meets(line, wanted)
        for check in wanted:
            word = check[0]
            name = "body" if word in BODY else "message" if word in MESSAGE else self.variable(word)
            number, action, after, must_not = self.one(check, f'search_in="var" variable="h_{name}"')
            action = re.sub(' check_it(_inverse)?="true"', "", action).replace('to="all', f'to="k{number}', 1)
            self.used.add(f"k{number}")
            self.put(f"<!-- {line} {word} --><nop><action>{action}</action></nop>")
            if must_not:
                self.put(f'<nop next="wrong" test="k{number}"/>')
            else:
                self.put(f'<nop next="is_{number}" test="k{number}"/>\n<nop next="wrong"/>\n'
                         f'<label id="is_{number}"/>\n<nop/>')
            attributes, last = self.compared(after)
            self.put(f"<nop{attributes}><action>{last}</action></nop>" if after else "<nop/>")

    # -- what is sent

    def answer(self, status, direction=None, types=None, tag=None, extra="", again=True):
        """To the last request."""
        text = f"SIP/2.0 {status}\n[last_Via:]\n[last_From:]\n[last_To:]{';tag=' + tag if tag else ''}\n" \
               "[last_Call-ID:]\n[last_CSeq:]\n" + extra
        text += f"Contact: <sip:{self.contact}>\n"
        text += self.body(direction or "sendrecv", types) if types else "Content-Length: 0\n"
        self.message(text, again=again and types is not None)

    def send(self, dialog, method, direction=None, types=None, extra="", cseq=None, again=True, body="",
             branch="[branch]"):
        """In a dialog, or to begin it. A dialog is (Request-URI, From, To, prefix of the Call-ID[, Call-ID])."""
        uri, sender, to, prefix, *call_id = dialog
        if cseq is None:
            cseq = self.cseq.get(prefix, 0) + (method != "ACK")
            self.cseq[prefix] = cseq
        text = f"{method} {uri} SIP/2.0\n{VIA.replace('[branch]', branch)}From: {sender}\nTo: {to}\n"
        text += f"Call-ID: {call_id[0] if call_id else prefix + '[call_id]'}\nCSeq: {cseq} {method}\n"
        text += f"Contact: <sip:{self.contact}>\n" + extra
        if types:
            text += self.body(direction or "sendrecv", types)
        else:
            text += body or "Content-Length: 0\n"
        self.message(text, again=again and method != "ACK")
