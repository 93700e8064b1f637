#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""tests/e2e/sipp_lines.py FOLDER MODE PORT: SIPp scenarios of A, B and C (at PORT + 1, 2, 3; refereed at PORT) for a
transfer, line by line as the design numbers them: 1 to 31 (A calls B, B holds A, B calls C, B holds C), then by MODE
  join      L32 to L47: carried out by us, in C's own dialog
  replace   the same by INVITE with Replaces (R42'); C itself ends the dialog that it replaced, R47'
  splice    R32 to R55: the REFER is A's, and C is re-INVITEd
  forward   R32 to R55 with R42' to R49': C gets an INVITE with Replaces, and ends the dialog that it replaced
  foreign   1 to 16; B calls C past us, and refers A to that dialog, which C then ends; before, to one C knows not
  blind     1 to 16, then the blind variant of L32 to L47
  semi      1 to 21, then the semi-attended variant: C rings
  cancel    the same; B sends CANCEL after the REFER
Each message that is received must be the line's and say what the line says: SIPp compares it, not we.
tests/e2e/sipp_lines.py --table [--check]: what is looked at in which line, tests/e2e/sipp/README.md."""
import os
import sys

from sipp_party import HERE, Party

MODES = ("join", "replace", "splice", "forward", "foreign", "blind", "semi", "cancel", "unheld", "late")
ABLE = "Allow: INVITE, ACK, CANCEL, BYE, REFER, NOTIFY\nSupported: replaces\n"
FULL, CHOSEN = "0 8 101", "0 101"
# That of the consultation's INVITE: its CANCEL, and the ACK to a 487, have the same.
BRANCH = "z9hG4bK-consultation-[pid]"
# Referred-By as B says it, and in an INVITE that A makes of a REFER passed to it.
BY_B, BY_A = "<sip:1002@.*>;x=\"as it was\"", "<sip:1002@example.com"


class Flow:
    def __init__(self, mode, port):
        self.mode, self.port, self.us = mode, port, f"127.0.0.1:{port}"
        self.a, self.b, self.c = (Party(name, port + i) for i, name in enumerate("abc", 1))
        self.relayed = mode in ("splice", "forward")
        self.ours = f"<(sip:[^>]*@127[.]0[.]0[.]1:{port}[^0-9>]*)>"
        media = port // 2 * 2 + 10
        self.media = f"m=audio ({'|'.join(str(media + i) for i in range(0, 80, 2))}) RTP"

    # -- what messages of ours say

    def contact(self, *names):
        return ("Contact", self.ours, *names)

    def description(self, version, direction, codecs, same="="):
        """Of ours: the o= line, port and session are those of before (or else new: same="")."""
        a = f"a={direction}" if direction != "sendrecv" else "!a=(sendonly|recvonly|inactive)"
        return (("o=", f"o=referee ([0-9]+) {version} IN IP4 127[.]0[.]0[.]9", f"{same}session"),
                ("c=", "c=IN IP4 127[.]0[.]0[.]9"), ("m=", self.media, f"{same}mport"),
                ("codecs", f"RTP/AVP {codecs}[^0-9 ]"), ("direction", a))

    def invite(self, party, uri, caller, called, codecs, replaces=("Require", "!.")):
        """What each INVITE of ours says that begins a dialog."""
        return (self.to(party, "INVITE", uri), ("Call-ID", "^ *~"), ("From", f"<sip:{caller}@.*>;tag=(~.*)", "xtag"),
                ("To", f"<sip:{called}@"), ("To", "!tag="), ("CSeq", "1 INVITE"), ("Max-Forwards", "69"),
                ("one Via", "!Via:.*Via:"), self.contact("url"), replaces, *self.able(),
                *self.description(0, "sendrecv", codecs, same=""))

    @staticmethod
    def able():
        return (("Supported", "100rel, replaces, timer, norefersub, nosub, explicitsub"),
                ("Allow", "INVITE, ACK, CANCEL, BYE.*REFER, NOTIFY.*UPDATE"))

    @staticmethod
    def to(party, method, uri=None):
        return ("Request-URI", f"^{method} sip:{(uri or party.contact).replace('.', '[.]')} SIP")

    def within(self, party, method, cseq, tag, theirs="xtag"):
        """A request of ours in a dialog: to whom it goes, and whose it is."""
        return (self.to(party, method), ("From", "tag=(.*)", f"={theirs}"), ("To", f"tag={tag}"),
                ("CSeq", f"{cseq} {method}"), self.contact())

    def accepted(self, codecs, cseq="1 INVITE"):
        """The 200 to an INVITE that began a dialog."""
        return (self.contact("url"), ("To", "tag=(~.*)", "xtag"), ("CSeq", cseq), *self.able(),
                *self.description(0, "sendrecv", codecs, same=""))

    def number(self, user):
        return f"<sip:{user}@{self.us}>"

    def acked(self, party, line, cseq, uri=None):
        party.request(line, "ACK", self.to(party, "ACK", uri), ("CSeq", f"{cseq} ACK"))

    def told(self, line, status, state, refer=None, answer="L35"):
        """B gets a NOTIFY."""
        self.b.request(line, "NOTIFY", *self.within(self.b, "NOTIFY", "[0-9]+", "b1", "xtag1"),
                       ("sipfrag", f"^SIP/2.0 {status}"),
                       ("Event", f"refer;id={refer or self.first_refer}"), ("Subscription-State", state),
                       ("Content-Type", "message/sipfrag"))
        self.b.sent(answer)
        self.b.answer("200 OK")

    # -- lines 1 to 16

    def first_call(self):
        a, b = self.a, self.b
        d1a = (f"sip:1002@{self.us}", f"{self.number(1001)};tag=a1", self.number(1002), "")
        a.sent("1")
        a.send(d1a, "INVITE", None, FULL, ABLE)
        a.response("2", 100, ("CSeq", "1 INVITE"), within=500)
        a.response("5", 180, ("To", "tag=(~.*)", "xtag"), self.contact(), ("CSeq", "1 INVITE"))
        a.response("8", 200, ("To", "tag=(~.*)", "=xtag"), *self.accepted(CHOSEN))
        self.d1a = ("[$url]", f"{self.number(1001)};tag=a1", f"{self.number(1002)};tag=[$xtag]", "")
        a.sent("9")
        a.send(self.d1a, "ACK")
        # B may hold A only when A's ACK has come (else 491): it hears of that by this.
        a.send(self.d1a, "INFO")
        a.put('<recv response="200"/>')
        if self.holds:
            a.request("12", "INVITE", *self.within(a, "INVITE", 1, "a1"), *self.description(1, "sendonly", CHOSEN))
            a.sent("13")
            a.answer("200 OK", "recvonly", CHOSEN, extra=ABLE)
            self.acked(a, "14", 1)
        b.request("3", "INVITE", *self.invite(b, f"1002@127.0.0.1:{self.port + 2}", 1001, 1002, FULL),
                  ("From", "(.*)", "peer"), ("From", "tag=(.*)", "xtag1"), ("To", "(.*)", "self"), self.contact("url1"))
        b.sent("4")
        b.answer("180 Ringing", tag="b1")
        b.sent("6")
        b.answer("200 OK", None, CHOSEN, tag="b1", extra=ABLE)
        self.acked(b, "7", 1)
        b.put('<recv request="INFO"/>')
        b.answer("200 OK")
        self.d1b = ("[$url1]", "[$self];tag=b1", "[$peer]", "")
        if self.holds:
            self.b_holds(self.d1b, 1, "10", "11", "15", "16")

    def b_holds(self, dialog, cseq, asks, trying, agreed, acks):
        b = self.b
        b.sent(asks)
        b.send(dialog, "INVITE", "sendonly", CHOSEN)
        b.response(trying, 100, ("CSeq", f"{cseq} INVITE"))
        b.response(agreed, 200, ("CSeq", f"{cseq} INVITE"), *self.description(1, "recvonly", CHOSEN))
        b.sent(acks)
        b.send(dialog, "ACK")

    # -- lines 17 to 31

    def second_call(self):
        """Up to 21: C rings. While it does it is B's offer that C answers: less than A's, so that what C is offered
        after that is told from it."""
        b, codecs = self.b, CHOSEN if self.rings else FULL
        begin = (f"sip:1003@{self.us}", f"{self.number(1002)};tag=b2", self.number(1003), "consult///")
        b.sent("17")
        b.send(begin, "INVITE", None, codecs, ABLE, branch=BRANCH)
        b.response("18", 100, ("CSeq", "1 INVITE"))
        b.response("21", 180, ("To", "tag=(~.*)", "ctag"), self.contact("curl"), ("CSeq", "1 INVITE"))
        self.d2b = ("[$curl]", f"{self.number(1002)};tag=b2", f"{self.number(1003)};tag=[$ctag]", "consult///")
        return self.invite(self.c, f"1003@127.0.0.1:{self.port + 3}", 1002, 1003, codecs)

    @property
    def holds(self):
        return self.mode != "unheld"

    @property
    def first_refer(self):
        """Its CSeq: behind B's re-INVITE."""
        return 2 if self.holds else 1

    @property
    def replaced(self):
        """C gets INVITE with Replaces."""
        return self.mode in ("replace", "forward", "unheld")

    @property
    def rings(self):
        return self.mode in ("semi", "cancel")

    def answered(self, nineteen):
        b, c = self.b, self.c
        b.response("24", 200, ("To", "tag=(~.*)", "=ctag"), *self.accepted(CHOSEN))
        b.sent("25")
        b.send(self.d2b, "ACK")
        if self.holds:
            self.b_holds(self.d2b, 2, "26", "26'", "30", "31")
        if self.replaced:
            # Both of C's calls begin here; what the second needs to know of the first goes by global variables.
            c.shared += ["d2_url", "d2_self", "d2_peer", "d2_id", "d2_tag"]
            c.first_invite(("replacing", "Replaces", "."))
            c.kept("19", *nineteen)
            c.put('<nop><action>' + "".join(
                f'<assignstr assign_to="d2_{name}" value="{value}"/>' for name, value in (
                    ("url", "[$url]"), ("self", "[$h_To];tag=c2"), ("peer", "[$h_From]"), ("id", "[call_id]"),
                    ("tag", "[$xtag]"))) + '</action></nop>')
        else:
            c.request("19", "INVITE", *nineteen)
        c.sent("20")
        c.answer("180 Ringing", tag="c2")
        c.sent("22")
        c.answer("200 OK", None, CHOSEN, tag="c2", extra=ABLE)
        self.acked(c, "23", 1)
        if not self.holds:
            return
        c.request("27", "INVITE", *self.within(c, "INVITE", 2, "c2"), *self.description(1, "sendonly", CHOSEN))
        c.sent("28")
        c.answer("200 OK", "recvonly", CHOSEN)
        self.acked(c, "29", 2)

    # -- the transfer

    def refer(self, target):
        self.b.sent("R32" if self.relayed else "L32")
        by = f"{self.number(1002)};x=\"as it was\""
        more = "Refer-Sub: true\n" if self.relayed else ""
        self.b.send(self.d1b, "REFER", extra=f"Refer-To: <{target}>\nReferred-By: {by}\n{more}")

    def refer_to_consultation(self):
        self.refer(f"sip:1003@{self.us}?Replaces=consult%2F%2F%2F[call_id]%3Bto-tag%3D[$ctag]%3Bfrom-tag%3Db2")

    def accepts(self, refer=None):
        self.b.response("L33", 202, self.contact(), ("CSeq", f"{refer or self.first_refer} REFER"))

    def trying(self, refer=None):
        self.told("L34", "100 Trying", "active;expires=", refer)

    def ended(self, refer=None):
        self.told("L44", "200 OK", "terminated;reason=noresource", refer, "L45")

    def leaves(self):
        self.b.sent("L46")
        self.b.send(self.d1b, "BYE")
        self.b.response("L47", 200, ("CSeq", "BYE"))

    def ends(self, party, line, dialog=None):
        """It gets a BYE."""
        if line:
            tag, theirs, call_id = dialog
            party.request(line, "BYE", ("From", "tag=(.*)", f"={theirs}"), ("To", f"tag={tag}"), ("Call-ID", call_id))
        else:
            party.put('<recv request="BYE"/>')
        party.answer("200 OK")

    def b_is_left(self, line):
        self.b.sent("L43" if not self.relayed else "R48")
        self.ends(self.b, line, ("b2", "ctag", "^ *consult///"))

    def joined(self, line, ack, cseq, version):
        c = self.c
        c.request(line, "INVITE", *self.within(c, "INVITE", cseq, "c2"), *self.description(version, "sendrecv", FULL))
        c.sent({"L36": "L37", "R42": "R43"}[line])
        c.answer("200 OK", None, CHOSEN)
        self.acked(c, ack, cseq)
        self.ends(c, None)

    def replacing(self, referred):
        """C's second call: it answers, and ends its first at once."""
        c = self.c
        c.put('<nop next="ending"/>\n<label id="replacing"/>\n<nop/>')
        c.kept("R42'", *self.invite(c, None, 1001, 1003, FULL, ("Require", "replaces")), ("Referred-By", referred),
               ("Replaces", "^ *([^;]*);to-tag=c2;from-tag=([^;]*)", "=d2_id", "=d2_tag"))
        c.sent("R43'")
        c.answer("200 OK", None, CHOSEN, tag="c3", extra=ABLE)
        self.acked(c, "R44'", 1)
        c.sent("R47'")
        c.send(("[$d2_url]", "[$d2_self]", "[$d2_peer]", "", "[$d2_id]"), "BYE", again=False)
        if not self.holds:
            c.send(("[$url]", "[$h_To];tag=c3", "[$h_From]", ""), "INFO")
            c.put('<recv response="200"/>')
        self.ends(c, None)
        c.put('<nop next="over"/>\n<label id="ending"/>\n<nop/>')
        c.response("R48'", 200, ("CSeq", "1 BYE"))

    def agrees(self):
        """A. What follows is B's affair: had it been told to A, it would be there within this pause."""
        a = self.a
        if not self.holds:
            return self.hears_of_nothing()
        if self.mode == "late":
            a.request("late L36", "INVITE", *self.within(a, "INVITE", 2, "a1"), ("Content-Length", "^ *0"))
            a.sent("late 200")
            a.answer("200 OK", None, FULL)
            a.request("late ACK", "ACK", self.to(a, "ACK"), ("CSeq", "2 ACK"), *self.description(2, "sendrecv", CHOSEN))
        else:
            a.request("L39", "INVITE", *self.within(a, "INVITE", 2, "a1"), *self.description(2, "sendrecv", CHOSEN))
            a.sent("L40")
            a.answer("200 OK", None, CHOSEN)
            self.acked(a, "L41", 2)
        a.put('<pause milliseconds="300"/>')
        a.send(self.d1a, "BYE")
        a.put('<recv response="200"/>')

    def hears_of_nothing(self):
        """Nobody was held and C's answer fits: A learns of C by what C sends it, and by no re-INVITE before."""
        a = self.a
        a.put('<recv request="INFO"/>')
        a.answer("200 OK")
        a.send(self.d1a, "BYE")
        a.put('<recv response="200"/>')

    def local(self):
        self.answered(self.second_call())
        self.refer_to_consultation()
        self.accepts()
        self.trying()
        if self.mode in ("join", "late"):
            self.joined("L36", "L38", 3, 2)
        else:
            self.replacing(BY_B)
        self.agrees()
        self.b_is_left("L42")
        self.ended()
        if self.replaced:
            # Its BYE would have us end for C what C has not ended yet, and B hears nothing of that.
            self.b.put('<pause milliseconds="500"/>')
        self.leaves()

    def blind(self):
        c = self.c
        self.refer(f"sip:1003@{self.us}")
        self.accepts()
        self.trying()
        c.request("blind L36'", "INVITE", *self.invite(c, f"1003@127.0.0.1:{self.port + 3}", 1001, 1003, FULL),
                  ("Replaces", "!."), ("Referred-By", BY_B))
        c.answer("180 Ringing", tag="c2")
        # B has to have answered the NOTIFY before: C hears nothing of that.
        c.put('<pause milliseconds="500"/>')
        self.told("18x", "180 Ringing", "active;expires=")
        c.answer("200 OK", None, CHOSEN, tag="c2", extra=ABLE)
        self.acked(c, "L38", 1)
        self.ends(c, None)
        self.agrees()
        self.ended()
        self.leaves()

    def semi(self):
        b, c = self.b, self.c
        nineteen = self.second_call()
        self.refer_to_consultation()
        self.accepts()
        cancel = self.mode == "cancel"
        via = f"Via: SIP/2.0/UDP {b.contact.partition('@')[2]};branch={BRANCH}\nMax-Forwards: 70\nFrom: " \
              f"{self.number(1002)};tag=b2\nTo: {self.number(1003)}{{}}\nCall-ID: consult///[call_id]\nCSeq: 1 {{}}\n" \
              "Content-Length: 0\n"
        if cancel:
            b.sent("semi CANCEL")
            b.message(f"CANCEL sip:1003@{self.us} SIP/2.0\n" + via.format("", "CANCEL"), again=False)
        self.trying()
        b.response("semi 487", 487, ("CSeq", "1 INVITE"), ("To", "tag=(~.*)", "=ctag"), ("Call-ID", "^ *consult///"))
        b.message(f"ACK sip:1003@{self.us} SIP/2.0\n" + via.format(";tag=[$ctag]", "ACK"), again=False)
        if cancel:
            b.response("semi CANCEL 200", 200, ("CSeq", "1 CANCEL"), ("Call-ID", "^ *consult///"))
        # C knows nothing of all that: it rings, rings on, and answers what B offered.
        c.request("19", "INVITE", *nineteen)
        c.sent("20")
        for _ in range(2):
            c.answer("180 Ringing", tag="c2")
            c.put('<pause milliseconds="700"/>')
        self.told("18x", "180 Ringing", "active;expires=")
        c.sent("22")
        c.answer("200 OK", None, CHOSEN, tag="c2", extra=ABLE)
        self.acked(c, "23", 1)
        self.joined("L36", "L38", 2, 1)
        self.agrees()
        self.ended()
        self.leaves()

    def foreign(self):
        b, c = self.b, self.c
        at_c = f"127.0.0.1:{self.port + 3}"

        def past_us(port):
            b.put(f'<nop><action><setdest host="127.0.0.1" port="{port}" protocol="UDP"/></action></nop>')

        # Past us, B calls C.
        begin = (f"sip:1003@{at_c}", f"{self.number(1002)};tag=b2", self.number(1003), "consult///")
        past_us(self.port + 3)
        b.send(begin, "INVITE", None, CHOSEN, ABLE)
        b.put('<recv response="200"/>')
        b.send((f"sip:1003@{at_c}", begin[1], f"{self.number(1003)};tag=c2", "consult///"), "ACK")
        past_us(self.port)
        replaces = "?Replaces={}%3Bto-tag%3Dc2%3Bfrom-tag%3Db2"
        self.refer("sip:1003@elsewhere.example" + replaces.format("gone%40x") + "&Require=replaces")
        self.accepts()
        self.trying()
        self.told("foreign 481", "481 No Such Call", "terminated;reason=noresource")
        self.refer("sip:1003@elsewhere.example" + replaces.format("consult%2F%2F%2F[call_id]"))
        self.accepts(3)
        self.trying(3)
        # C's own BYE comes from C, so before or after our NOTIFY.
        b.put('<recv request="BYE" optional="true" next="left"/>')
        self.ended(3)
        b.put('<recv request="BYE"/>')
        b.sent("foreign BYE")
        past_us(self.port + 3)
        b.answer("200 OK")
        b.put('<nop next="leaving"/>\n<label id="left"/>\n<nop/>')
        past_us(self.port + 3)
        b.answer("200 OK")
        past_us(self.port)
        self.ended(3)
        b.put('<label id="leaving"/>\n<nop/>')
        past_us(self.port)
        self.leaves()
        self.agrees()
        self.foreign_target(c, self.invite(c, f"1003@{at_c}", 1001, 1003, FULL))

    def foreign_target(self, c, said):
        c.shared += ["replaced"]
        c.first_invite(("refusing", "Replaces", "gone@x"), ("replacing", "Replaces", "."))
        c.answer("200 OK", None, CHOSEN, tag="c2", extra=ABLE)
        c.put('<recv request="ACK"/>\n<label id="waiting"/>\n<nop next="ending" test="replaced"/>\n'
              '<pause milliseconds="10" next="waiting"/>\n<label id="ending"/>\n<nop/>')
        # Not with our NOTIFY: SIPp takes the second of two messages for an unexpected one before it answers the first.
        c.put('<pause milliseconds="300"/>')
        c.send((f"sip:{self.b.contact}", "[$h_To];tag=c2", "[$h_From]", ""), "BYE")
        c.put('<recv response="200"/>\n<nop next="over"/>\n<label id="refusing"/>\n<nop/>')
        c.kept("foreign L36'", *[check if check[0] != "Require" else ("Require", "replaces") for check in said],
               ("Replaces", "^ *gone@x;to-tag=c2;from-tag=b2$"), ("Referred-By", BY_B))
        c.sent("foreign L37'")
        c.answer("481 No Such Call", tag="c3")
        self.acked(c, "foreign L38'", 1, f"1003@127.0.0.1:{self.port + 3}")
        c.put('<nop next="over"/>\n<label id="replacing"/>\n<nop/>')
        c.kept("foreign L36'", *said, ("Replaces", "^ *consult///[^;]+;to-tag=c2;from-tag=b2$"), ("Referred-By", BY_B))
        c.answer("200 OK", None, CHOSEN, tag="c4", extra=ABLE)
        self.acked(c, "foreign L38'", 1)
        c.put('<nop><action><assign assign_to="replaced" value="1"/></action></nop>')
        self.ends(c, None)

    def relay(self):
        a, b, c, forward = self.a, self.b, self.c, self.mode == "forward"
        self.answered(self.second_call())
        self.refer_to_consultation()
        a.request("R33", "REFER", *self.within(a, "REFER", 2, "a1"), ("Max-Forwards", "69"), ("Referred-By", BY_B),
                  ("Refer-Sub", "true"), ("Refer-To", "<(sip:xfer[.][^?>]*)", "target"),
                  ("Refer-To", "Replaces=(consult.*)%3Bto-tag%3D(.*)%3Bfrom-tag%3D(b2)&Require=replaces>", "rid", "rto",
                   "rfrom"))
        a.sent("R34")
        a.answer("202 Accepted")
        b.response("R35", 202, self.contact(), ("CSeq", "2 REFER"))
        a.sent("R36")
        self.note("active;expires=60", "100 Trying")
        a.response("R39", 200, ("CSeq", "NOTIFY"))
        self.told("R37", "100 Trying", "active;expires=60", answer="R38")
        start = ("[$target]", f"{self.number(1001)};tag=a3", self.number(1003), "moved///")
        a.sent("R40")
        a.send(start, "INVITE", None, FULL, "Replaces: [$rid];to-tag=[$rto];from-tag=[$rfrom]\nRequire: replaces\n"
               "Referred-By: <sip:1002@example.com>\n" + ABLE)
        a.response("R41", 100, ("CSeq", "1 INVITE"))
        a.response("R45'" if forward else "R45", 200, self.contact("murl"), ("To", "tag=(~.*)", "mtag"),
                   ("CSeq", "1 INVITE"), *self.able(), *self.description(0, "sendrecv", CHOSEN, same=""))
        moved = ("[$murl]", f"{self.number(1001)};tag=a3", f"{self.number(1003)};tag=[$mtag]", "moved///")
        a.sent("R46'" if forward else "R46")
        a.send(moved, "ACK")
        if forward:
            self.replacing(BY_A)
            self.b_is_left("R49'")
            # R49' comes before R50: A hears of it by this.
            b.send(self.d1b, "INFO")
            b.put('<recv response="200"/>')
            a.put('<recv request="INFO"/>')
            a.answer("200 OK")
        else:
            self.joined("R42", "R44", 3, 2)
            self.b_is_left("R47")
        a.sent("R50")
        self.note("terminated;reason=noresource", "200 OK")
        a.response("R52", 200, ("CSeq", "NOTIFY"))
        self.told("R51", "200 OK", "terminated;reason=noresource", answer="R38")
        b.sent("R53")
        b.send(self.d1b, "BYE")
        b.response("R55", 200, ("CSeq", "BYE"))
        self.ends(a, "R54", ("a1", "xtag", "@127"))
        a.send(moved, "BYE")
        a.put('<recv response="200"/>')

    def note(self, state, frag):
        self.a.send(self.d1a, "NOTIFY", body=f"Event: refer\nSubscription-State: {state}\n"
                    f"Content-Type: message/sipfrag\nContent-Length: [len]\n\nSIP/2.0 {frag}")

    def parties(self):
        self.first_call()
        {"blind": self.blind, "foreign": self.foreign, "semi": self.semi, "cancel": self.semi, "splice": self.relay,
         "forward": self.relay}.get(self.mode, self.local)()
        return self.a, self.b, self.c


def table():
    """Which scenario has which line, and what is looked at there."""
    seen = {line: ([], []) for line in Party.demanded}
    for mode in MODES:
        for party in Flow(mode, 20000).parties():
            for line, words in party.lines.items():
                seen[line][0].append(mode)
                seen[line][1].extend(word for word in words if word not in seen[line][1])
    never = [line for line, (modes, _) in seen.items() if not modes]
    if never:
        raise SystemExit(f"no scenario has the lines {', '.join(never)}")
    rows = []
    for line, (modes, words) in seen.items():
        where = "all" if set(modes) == set(MODES) else ", ".join(mode for mode in MODES if mode in modes)
        message = Party.demanded[line][0].replace(">", "&rarr;")
        rows.append(f"| {line} | {message} | {', '.join(words) or 'sent by SIPp'} | {where} |")
    return f"""# What SIPp judges

The scenarios in this folder are for the tests `tests/e2e/sipp-*.test`. Those of `sipp-lines.test` are written by
`tests/e2e/sipp_lines.py`, for the flow of a transfer message by message: A is transferee, B transferor, C target, X
refereed. This table is made from them (`tests/e2e/sipp_lines.py --table`), and the test fails if it is not what they
do, if a line of `lines.tsv` is in no scenario, or if one lacks a check that its line asks for. `SPOIL=N
tests/e2e/sipp-lines.test MODE` turns the Nth check of a scenario round: it has to fail. Pauses stand where a party
hears nothing of what it must wait for.

| line | message | SIPp looks at | scenarios |
|---|---|---|---|
""" + "\n".join(rows) + "\n"


def main():
    if sys.argv[1] == "--table":
        path, text = f"{HERE}/sipp/README.md", table()
        if "--check" not in sys.argv:
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
        elif not os.path.exists(path) or open(path, encoding="utf-8").read() != text:
            raise SystemExit("tests/e2e/sipp/README.md is not what the scenarios do: tests/e2e/sipp_lines.py --table")
        return
    folder, mode, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    for party in Flow(mode, port).parties():
        party.write(folder, mode)
    print(next(Party.numbers) - 1)


main()
