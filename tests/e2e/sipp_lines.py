#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""tests/e2e/sipp_lines.py FOLDER MODE: SIPp scenarios of A, B and C for an attended transfer, line by line as the
design numbers them: 1 to 31 (A calls B, B holds A, B calls C, B holds C), then by MODE
  join      L32 to L47: carried out by us, in C's own dialog
  replace   the same by INVITE with Replaces; C itself ends the dialog that it replaced, R47'
  splice    R32 to R55: the REFER is A's, and C is re-INVITEd
  forward   R32 to R55 with R42' to R49': C gets an INVITE with Replaces, and ends the dialog that it replaced
  blind     1 to 16, then the blind variant of L32 to L47
  semi      1 to 21, then the semi-attended variant: C rings
Each message that is received must be the line's and say what the line says: SIPp compares it, not we."""
import sys

OUT, MODE = sys.argv[1], sys.argv[2]
RELAYED = MODE in ("splice", "forward")
# What the INVITE with Replaces says of the transferor: B's word, or A's who was told.
REFERRED = "&lt;sip:1002@example.com" if RELAYED else "&lt;sip:1002@.*&gt;;x=&quot;as it was"
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
        self.two_calls = False

    def put(self, text):
        self.steps.append(text)

    def write(self):
        with open(f"{OUT}/{self.name}.xml", "w", encoding="utf-8") as f:
            f.write('<?xml version="1.0" encoding="UTF-8"?>\n' f'<scenario name="{self.name} {MODE}">\n')
            f.write('<Global variables="replaced"/>\n' if self.two_calls else "")
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

    def extracts(self):
        """What a dialog needs in which we are called."""
        wanted = [("From", "(.*)", "peer"), ("To", "(.*)", "self"), (*URL, "url")]
        return self.checks("", wanted).partition("<action>")[2].removesuffix("</action>")

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
    by = f"<sip:1002@{US}>;x=\"as it was\""
    if MODE == "blind":
        b.send(d1b, "REFER", extra=f"Refer-To: <sip:1003@{US}>\nReferred-By: {by}\n")
        blind(a, b, c, d1b, d1a)
    else:
        attended(a, b, c, d1b, d1a, by)
    for party in (a, b, c):
        party.write()


def attended(a, b, c, d1b, d1a, by):
    # ---- B: lines 17, 18, 21
    begin = (f"sip:1003@{US}", f"{number(1002)};tag=b2", number(1003), "consult///")
    # While C rings it is B's offer that C answers: less than A's, so that what C is offered then is told from it.
    b.send(begin, "INVITE", None, "0 101" if MODE == "semi" else "0 8 101", ABLE)
    b.response("18", 100)
    b.response("21", 180, ("To", "tag=(.*)", "ctag"), (*URL, "curl"))
    d2b = ("[$curl]", f"{number(1002)};tag=b2", f"{number(1003)};tag=[$ctag]", "consult///")
    if MODE != "semi":
        consultation(b, c, d2b)
    # ---- L32, R32: the REFER
    b.send(d1b, "REFER", extra=f"Refer-To: <sip:1003@{US}?Replaces=consult%2F%2F%2F[call_id]%3Bto-tag%3D[$ctag]%3B"
           f"from-tag%3Db2>\nReferred-By: {by}\n")
    if MODE == "semi":
        semi(a, b, c, d1b, d1a)
    elif RELAYED:
        relayed(a, b, c, d1b, d1a)
    else:
        local(a, b, c, d1b, d1a)


def consultation(b, c, d2b):
    # ---- B: lines 24, 25 and 26, 30, 31
    b.response("24", 200, ("Contact", "<sip:"), ("To", "tag="), of("sendrecv"), version(0))
    b.send(d2b, "ACK")
    b.send(d2b, "INVITE", "sendonly", "0 101")
    b.response("27", 100)
    b.response("30", 200, of("recvonly"), version(1))
    b.send(d2b, "ACK")
    # ---- C: lines 19, 20, 22, 23 and 27, 28, 29
    c.two_calls = MODE in ("replace", "forward")
    if c.two_calls:
        # Both of C's calls come here: the one with Replaces goes on below.
        c.put('<recv request="INVITE"><action><ereg regexp="to-tag=c2;from-tag=" search_in="hdr" header="Replaces:" '
              'assign_to="replaces"/>'
              '<ereg regexp="replaces" search_in="hdr" header="Require:" assign_to="required"/>'
              f'<ereg regexp="{REFERRED}" search_in="hdr" header="Referred-By:" assign_to="referred"/>'
              + c.extracts() + '</action></recv>\n<nop next="replacing" test="replaces"/>')
    else:
        c.request("19", "INVITE", ("Max-Forwards", "69"), of("sendrecv"), version(0), ("From", "1002"))
    c.answer("180 Ringing", tag="c2")
    c.answer("200 OK", None, "0 101", tag="c2", extra=ABLE)
    c.request("23", "ACK")
    c.request("27", "INVITE", of("sendonly"), version(1), ("CSeq", "2 INVITE"))
    c.answer("200 OK", "recvonly", "0 101")
    c.request("29", "ACK")


def notified(b, line, status, state):
    b.request(line, "NOTIFY", ("body", f"SIP/2.0 {status}"), ("Event", "refer;id=2"), ("Subscription-State", state),
              ("Content-Type", "message/sipfrag"))
    b.answer("200 OK")


def replacing(c, line):
    """C's first call waits until its second has replaced it, and ends; that one begins with the INVITE in hand."""
    c.put('<label id="waiting"/>\n<nop next="ending" test="replaced"/>\n<pause milliseconds="10" next="waiting"/>\n'
          '<label id="ending"/>\n<nop/>')
    c.send(("[$url]", "[$self];tag=c2", "[$peer]", ""), "BYE")
    c.response("R48'", 200)
    c.put('<nop next="over"/>\n<label id="replacing"/>\n<nop/>')
    # What it did not say stops this call: no INVITE comes in it any more.
    for held in ("required", "referred"):
        c.put(f'<nop next="{held}" test="{held}"/>\n<recv request="INVITE"/>\n<label id="{held}"/>\n<nop/>')
    c.answer("200 OK", None, "0 101", tag="c3", extra=ABLE)
    c.put(f'<!-- {line} --><recv request="ACK"><action><assign assign_to="replaced" value="1"/></action></recv>')
    end_of(c, "BYE of A, crossing")
    c.put('<label id="over"/>')


def end_of(party, line):
    party.request(line, "BYE")
    party.answer("200 OK")


def local(a, b, c, d1b, d1a):
    b.response("L33", 202, ("Contact", "<sip:"))
    notified(b, "L34", "100", "active;expires=")
    if MODE == "join":
        joined(c, 3)
    else:
        replacing(c, "L38")
    agrees(a, d1a)
    end_of(b, "L42")
    notified(b, "L44", "200", "terminated;reason=noresource")
    if MODE == "replace":
        # Its BYE would have us end for C what C has not ended yet.
        b.put('<pause milliseconds="1000"/>')
    b.send(d1b, "BYE")
    b.response("L47", 200)


def joined(c, cseq):
    c.request("L36", "INVITE", ("CSeq", f"{cseq} INVITE"), of("sendrecv"), version(cseq - 1),
              ("body", "RTP/AVP 0 8 101"))
    c.answer("200 OK", None, "0 101")
    c.request("L38", "ACK")
    end_of(c, "BYE of A, crossing")


def agrees(a, d1a):
    a.request("L39", "INVITE", of("sendrecv"), version(2))
    a.answer("200 OK", None, "0 101")
    a.request("L41", "ACK")
    a.send(d1a, "BYE")
    a.response("BYE", 200)


def blind(a, b, c, d1b, d1a):
    b.response("L33", 202, ("Contact", "<sip:"))
    notified(b, "L34", "100", "active;expires=")
    c.request("L36'", "INVITE", ("CSeq", "1 INVITE"), ("Max-Forwards", "69"), ("From", "1001"), ("Replaces", "!."),
              ("Require", "!."), ("Referred-By", "<sip:1002@.*>;x=\"as it was\""), of("sendrecv"), version(0),
              ("body", "RTP/AVP 0 8 101"))
    c.answer("180 Ringing", tag="c2")
    c.put('<pause milliseconds="500"/>')
    notified(b, "180", "180", "active;expires=")
    c.answer("200 OK", None, "0 101", tag="c2", extra=ABLE)
    c.request("L38", "ACK")
    end_of(c, "BYE of A, crossing")
    agrees(a, d1a)
    notified(b, "L44", "200", "terminated;reason=noresource")
    b.send(d1b, "BYE")
    b.response("L47", 200)


def semi(a, b, c, d1b, d1a):
    b.response("L33", 202, ("Contact", "<sip:"))
    notified(b, "L34", "100", "active;expires=")
    b.response("487 of the consultation", 487, ("CSeq", "1 INVITE"))
    b.message(f"ACK sip:1003@{US} SIP/2.0\n[last_Via:]\nMax-Forwards: 70\n[last_From:]\n[last_To:]\n[last_Call-ID:]\n"
              "CSeq: 1 ACK\nContent-Length: 0\n", again=False)
    # C knows nothing of all that: it rings, rings on, and answers what B offered.
    c.request("19", "INVITE", ("Max-Forwards", "69"), of("sendrecv"), version(0), ("From", "1002"),
              ("body", "RTP/AVP 0 101"))
    for _ in range(2):
        c.answer("180 Ringing", tag="c2")
        c.put('<pause milliseconds="1000"/>')
    notified(b, "180", "180", "active;expires=")
    c.answer("200 OK", None, "0 101", tag="c2", extra=ABLE)
    c.request("23", "ACK")
    joined(c, 2)
    agrees(a, d1a)
    notified(b, "L44", "200", "terminated;reason=noresource")
    b.send(d1b, "BYE")
    b.response("L47", 200)


def relayed(a, b, c, d1b, d1a):
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
    if MODE == "forward":
        # R49' comes before R50: A hears of it by this.
        a.request("INFO", "INFO")
        a.answer("200 OK")
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
        replacing(c, "R44'")
        end_of(b, "R49'")
        b.send(d1b, "INFO")
        b.response("INFO", 200)
        notified(b, "R51", "200", "terminated;reason=noresource")
    b.send(d1b, "BYE")
    b.response("R55", 200)


def note(party, dialog, text):
    """A NOTIFY, whose body is no description."""
    uri, sender, to, prefix = dialog
    party.cseq[prefix] = party.cseq.get(prefix, 0) + 1
    party.message(f"NOTIFY {uri} SIP/2.0\n{VIA}From: {sender}\nTo: {to}\nCall-ID: {prefix}[call_id]\n"
                  f"CSeq: {party.cseq[prefix]} NOTIFY\nContact: <sip:{party.name}@[local_ip]:[local_port]>\n{text}")


main()
