#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""tests/e2e/sipp_lines.py FOLDER MODE: SIPp scenarios of A, B and C for an attended transfer, line by line as the
design numbers them: 1 to 31 (A calls B, B holds A, B calls C, B holds C), then by MODE
  join      L32 to L47: carried out by us, in C's own dialog
  replace   the same by INVITE with Replaces; C leaves the end of what it replaced to us
  splice    R32 to R55: the REFER is A's, and C is re-INVITEd
  forward   R32 to R55 with R42' to R48': C gets an INVITE with Replaces
Each message that is received must be the line's and say what the line says: SIPp compares it, not we."""
import sys

OUT, MODE = sys.argv[1], sys.argv[2]
RELAYED = MODE in ("splice", "forward")
SDP = """v=0
o={who} 1 {version} IN IP4 [local_ip]
s=-
c=IN IP4 [media_ip]
t=0 0
m=audio [media_port] RTP/AVP {types}
a=rtpmap:101 telephone-event/8000
{direction}"""
VIA = "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]\nMax-Forwards: 70\n"
ABLE = "Allow: INVITE, ACK, CANCEL, BYE, REFER, NOTIFY\nSupported: replaces\n"


def quoted(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


class Party:
    def __init__(self, name):
        self.name, self.steps, self.version, self.cseq, self.used = name, [], 0, {}, set()

    def put(self, text):
        self.steps.append(text)

    def write(self):
        with open(f"{OUT}/{self.name}.xml", "w", encoding="utf-8") as f:
            f.write('<?xml version="1.0" encoding="UTF-8"?>\n' f'<scenario name="{self.name} {MODE}">\n')
            f.write("\n".join(self.steps))
            f.write(f'\n<Reference variables="{",".join(sorted(self.used))}"/>\n' if self.used else "\n")
            f.write("</scenario>\n")

    def message(self, text, again=True):
        self.put(f"<send{' retrans=' + chr(34) + '500' + chr(34) if again else ''}><![CDATA[\n{text}\n]]></send>")

    def body(self, direction, types):
        self.version += 1
        return "Content-Type: application/sdp\nContent-Length: [len]\n\n" + SDP.format(
            who=self.name, version=self.version, types=types, direction=f"a={direction}" if direction else "a=sendrecv")

    def checks(self, line, wanted):
        """Each (header or "body", expression[, variables])."""
        if not wanted:
            return ""
        self.used.add("all")
        out = []
        for where, expression, *names in wanted:
            self.used.update(names)
            place = 'search_in="body"' if where == "body" else f'search_in="hdr" header="{where}:"'
            inverse = expression.startswith("!")
            out.append(f'<ereg regexp="{quoted(expression.lstrip("!"))}" {place} '
                       f'check_it{"_inverse" if inverse else ""}="true" assign_to="{",".join(["all", *names])}"/>')
        return f"<!-- {line} --><action>" + "".join(out) + "</action>"

    def request(self, line, method, *wanted):
        """A request must come now."""
        self.put(f'<recv request="{method}">{self.checks(line, wanted)}</recv>')

    def response(self, line, status, *wanted):
        self.put(f'<recv response="{status}">{self.checks(line, wanted)}</recv>')

    def answer(self, status, direction=None, types=None, tag=None, extra=""):
        """To the last request."""
        text = f"SIP/2.0 {status}\n[last_Via:]\n[last_From:]\n[last_To:]{';tag=' + tag if tag else ''}\n" \
               "[last_Call-ID:]\n[last_CSeq:]\n" + extra
        text += f"Contact: <sip:{self.name}@[local_ip]:[local_port]>\n"
        text += self.body(direction, types) if types else "Content-Length: 0\n"
        self.message(text, again=types is not None)

    def send(self, dialog, method, direction=None, types=None, extra="", cseq=None):
        """In a dialog, or to begin it. A dialog is (Request-URI, From, To, prefix of the Call-ID)."""
        uri, sender, to, prefix = dialog
        if cseq is None:
            cseq = self.cseq.get(prefix, 0) + (method != "ACK")
            self.cseq[prefix] = cseq
        text = f"{method} {uri} SIP/2.0\n{VIA}From: {sender}\nTo: {to}\nCall-ID: {prefix}[call_id]\n"
        text += f"CSeq: {cseq} {method}\n"
        text += f"Contact: <sip:{self.name}@[local_ip]:[local_port]>\n" + extra
        text += self.body(direction, types) if types else "Content-Length: 0\n"
        self.message(text, again=method != "ACK")


US = "[us]"
URL = ("Contact", "<(sip:[^>]*)>")


def number(user):
    return f"<sip:{user}@{US}>"


def version(n):
    return ("body", rf"o=[^ ]+ [0-9]+ {n} ")


def of(direction):
    """A description that says so; sendrecv is said by its absence too."""
    return ("body", f"a={direction}") if direction != "sendrecv" else ("body", "!a=(sendonly|recvonly|inactive)")


def main():
    a, b, c = Party("a"), Party("b"), Party("c")
    # ---- A: lines 1, 2, 5, 8, 9
    first = (f"sip:1002@{US}", f"{number(1001)};tag=a1", number(1002), "")
    a.send(first, "INVITE", None, "0 8 101", ABLE)
    a.response("2", 100)
    a.response("5", 180, ("To", "tag="), ("Contact", "<sip:"))
    a.response("8", 200, (*URL, "url"), ("To", "tag=(.*)", "tag"), ("Supported", "replaces"), of("sendrecv"),
               version(0), ("Allow", "REFER.*NOTIFY"))
    d1a = ("[$url]", f"{number(1001)};tag=a1", f"{number(1002)};tag=[$tag]", "")
    a.send(d1a, "ACK")
    # B may hold A only when A's ACK has come (else 491): it hears of that by this.
    a.send(d1a, "INFO")
    a.response("INFO", 200)
    # ---- A: lines 12 to 14
    a.request("12", "INVITE", of("sendonly"), version(1), ("CSeq", "INVITE"), ("Max-Forwards", "[67][0-9]"))
    a.answer("200 OK", "recvonly", "0 101", extra=ABLE)
    a.request("14", "ACK")
    # ---- B: lines 3, 4, 6, 7, 10, 11, 15, 16
    b.request("3", "INVITE", ("From", "(.*)", "peer"), ("To", "(.*)", "self"), (*URL, "url"), ("Max-Forwards", "69"),
              ("Supported", "replaces"), ("Allow", "REFER.*NOTIFY"), ("From", "tag="), of("sendrecv"), version(0),
              ("Require", "!."))
    b.answer("180 Ringing", tag="b1")
    b.answer("200 OK", None, "0 101", tag="b1", extra=ABLE)
    b.request("7", "ACK")
    b.request("INFO", "INFO")
    b.answer("200 OK")
    d1b = ("[$url]", "[$self];tag=b1", "[$peer]", "")
    b.send(d1b, "INVITE", "sendonly", "0 101")
    b.response("11", 100)
    b.response("15", 200, of("recvonly"), version(1))
    b.send(d1b, "ACK")
    # ---- B: lines 17, 18, 21, 24, 25 and 26, 30, 31
    begin = (f"sip:1003@{US}", f"{number(1002)};tag=b2", number(1003), "consult///")
    b.send(begin, "INVITE", None, "0 8 101", ABLE)
    b.response("18", 100)
    b.response("21", 180, ("To", "tag="))
    b.response("24", 200, (*URL, "curl"), ("To", "tag=(.*)", "ctag"), of("sendrecv"), version(0))
    d2b = ("[$curl]", f"{number(1002)};tag=b2", f"{number(1003)};tag=[$ctag]", "consult///")
    b.send(d2b, "ACK")
    b.send(d2b, "INVITE", "sendonly", "0 101")
    b.response("27", 100)
    b.response("30", 200, of("recvonly"), version(1))
    b.send(d2b, "ACK")
    # ---- C: lines 19, 20, 22, 23 and 27, 28, 29
    calls = {"join": 1, "splice": 1, "replace": 2, "forward": 2}[MODE]
    if calls == 2:
        # Both of C's calls come here: the one with Replaces goes on below.
        c.put('<recv request="INVITE"><action><ereg regexp="to-tag=c2;from-tag=" search_in="hdr" header="Replaces:" '
              'assign_to="replaces"/></action></recv>\n<nop next="replacing" test="replaces"/>')
    else:
        c.request("19", "INVITE", ("Max-Forwards", "69"), of("sendrecv"), version(0), ("From", "1002"))
    c.answer("180 Ringing", tag="c2")
    c.answer("200 OK", None, "0 101", tag="c2", extra=ABLE)
    c.request("23", "ACK")
    c.request("27", "INVITE", of("sendonly"), version(1), ("CSeq", "2 INVITE"))
    c.answer("200 OK", "recvonly", "0 101")
    c.request("29", "ACK")
    # ---- L32, R32: the REFER
    by = f"<sip:1002@{US}>;x=\"as it was\""
    b.send(d1b, "REFER", extra=f"Refer-To: <sip:1003@{US}?Replaces=consult%2F%2F%2F[call_id]%3Bto-tag%3D[$ctag]%3B"
           f"from-tag%3Db2>\nReferred-By: {by}\n")
    (relayed if RELAYED else local)(a, b, c, d1b, d2b, d1a)
    for party in (a, b, c):
        party.write()


def notified(b, line, status, state):
    b.request(line, "NOTIFY", ("body", f"SIP/2.0 {status}"), ("Event", "refer;id=2"), ("Subscription-State", state),
              ("Content-Type", "message/sipfrag"))
    b.answer("200 OK")


def replacing(c, line):
    """C's second call: SIPp has the INVITE with Replaces of its own dialog already."""
    c.put('<label id="replacing"/>\n<nop/>')
    c.answer("200 OK", None, "0 101", tag="c3", extra=ABLE)
    c.request(line, "ACK")


def end_of(party, line):
    party.request(line, "BYE")
    party.answer("200 OK")


def local(a, b, c, d1b, d2b, _):
    b.response("L33", 202, ("Contact", "<sip:"))
    notified(b, "L34", "100", "active;expires=")
    if MODE == "join":
        c.request("L36", "INVITE", ("CSeq", "3 INVITE"), of("sendrecv"), version(2), ("body", "RTP/AVP 0 8 101"))
        c.answer("200 OK", None, "0 101")
        c.request("L38", "ACK")
        end_of(c, "BYE of A, crossing")
    else:
        end_of(c, "BYE of what was replaced")
        c.put('<nop next="over"/>')
        replacing(c, "L38")
        end_of(c, "BYE of A, crossing")
        c.put('<label id="over"/>')
    a.request("L39", "INVITE", of("sendrecv"), version(2))
    a.answer("200 OK", None, "0 101")
    a.request("L41", "ACK")
    a.send(("[$url]", f"{number(1001)};tag=a1", f"{number(1002)};tag=[$tag]", ""), "BYE")
    a.response("BYE", 200)
    end_of(b, "L42")
    notified(b, "L44", "200", "terminated;reason=noresource")
    b.send(d1b, "BYE")
    b.response("L47", 200)


def relayed(a, b, c, d1b, d2b, d1a):
    a.request("R33", "REFER", ("Refer-To", "<(sip:xfer[.][^?>]*)", "target"), ("Max-Forwards", "69"),
              ("Refer-To", "Replaces=(consult.*)%3Bto-tag%3D(.*)%3Bfrom-tag%3D(.*)&Require=replaces>", "rid", "rto",
               "rfrom"), ("Referred-By", "<sip:1002@.*>;x=\"as it was\""), ("CSeq", "2 REFER"), ("Contact", "<sip:"))
    a.answer("202 Accepted")
    b.response("R35", 202)
    frag = "Event: refer\nSubscription-State: {}\nContent-Type: message/sipfrag\nContent-Length: [len]\n\nSIP/2.0 {}"
    note(a, d1a, frag.format("active;expires=60", "100 Trying"))
    a.response("R39", 200)
    notified(b, "R37", "100", "active;expires=60")
    start = ("[$target]", f"{number(1001)};tag=a3", number(1003), "moved///")
    a.send(start, "INVITE", None, "0 8 101", "Replaces: [$rid];to-tag=[$rto];from-tag=[$rfrom]\nRequire: replaces\n"
           "Referred-By: <sip:1002@example.com>\n" + ABLE)
    a.response("R41", 100)
    a.response("R45", 200, (*URL, "murl"), ("To", "tag=(.*)", "mtag"), of("sendrecv"), version(0))
    moved = ("[$murl]", f"{number(1001)};tag=a3", f"{number(1003)};tag=[$mtag]", "moved///")
    a.send(moved, "ACK")
    note(a, d1a, frag.format("terminated;reason=noresource", "200 OK"))
    a.response("R52", 200)
    end_of(a, "R54")
    a.send(moved, "BYE")
    a.response("BYE", 200)
    if MODE == "splice":
        c.request("R42", "INVITE", ("CSeq", "3 INVITE"), of("sendrecv"), version(2), ("body", "RTP/AVP 0 8 101"))
        c.answer("200 OK", None, "0 101")
        c.request("R44", "ACK")
        end_of(c, "BYE of A, crossing")
        end_of(b, "R47")
        notified(b, "R51", "200", "terminated;reason=noresource")
    else:
        end_of(c, "R49': B ends the consultation, which C left to it")
        c.put('<nop next="over"/>')
        replacing(c, "R44'")
        end_of(c, "BYE of A, crossing")
        c.put('<label id="over"/>')
        notified(b, "R51", "200", "terminated;reason=noresource")
        b.send(d2b, "BYE")
        b.response("R49'", 200)
    b.send(d1b, "BYE")
    b.response("R55", 200)


def note(party, dialog, text):
    """A NOTIFY, whose body is no description."""
    uri, sender, to, prefix = dialog
    party.cseq[prefix] = party.cseq.get(prefix, 0) + 1
    party.message(f"NOTIFY {uri} SIP/2.0\n{VIA}From: {sender}\nTo: {to}\nCall-ID: {prefix}[call_id]\n"
                  f"CSeq: {party.cseq[prefix]} NOTIFY\nContact: <sip:{party.name}@[local_ip]:[local_port]>\n{text}")


main()
