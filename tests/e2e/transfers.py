#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""tests/e2e/transfers.py PORT [FLOW...]: transfers with hand-made phones A, B (the transferor) and C.

Each flow is what the phones see; at its end nothing may be left in the daemon. Numbers (T-...) are those of the list of
what users of other products met.
"""
import re
import sys
from urllib.parse import quote

import sip
from sip import Dialog, Phone, call, check, direction_of, nothing_is_left, sdp

PORT = int(sys.argv[1])
REPLACES = ["Supported: replaces", "Allow: INVITE, ACK, BYE, CANCEL, REFER, NOTIFY, OPTIONS"]


class Stage:
    """A, B, C registered; A talks with B and is held; B talks with C (if `consult`) and holds it."""

    def __init__(self, consult=True):
        self.a, self.b, self.c = Phone("A", 1001, PORT), Phone("B", 1002, PORT), Phone("C", 1003, PORT)
        for phone in (self.a, self.b, self.c):
            phone.register()
        self.ab, self.ba = call(self.a, self.b)
        self.hold(self.ba, self.ab)
        if consult:
            self.bc, self.cb = call_c(self.b, self.c)
            self.hold(self.bc, self.cb)

    @staticmethod
    def hold(holder, held):
        invite = holder.message("INVITE", body=sdp(holder.phone.address, holder.rtp, "sendonly", 2))
        holder.sdp_version = 2
        holder.phone.send(invite.data)
        check(f"{held.phone.name} is offered sendonly", held.answer_reinvite() == "sendonly")
        answer = holder.phone.final(invite)
        check(f"{holder.phone.name} is answered recvonly", direction_of(answer.body) == "recvonly", answer.body)
        holder.ack(invite.cseq)

    def resume(self):
        invite = self.ba.message("INVITE", body=sdp(self.b.address, self.ba.rtp, "sendrecv", 3))
        self.b.send(invite.data)
        check("A is offered sendrecv again", self.ab.answer_reinvite() == "sendrecv")
        answer = self.b.final(invite)
        check("B has its call back", answer.status == 200 and direction_of(answer.body) == "sendrecv", answer.body)
        self.ba.ack(invite.cseq)

    def refer(self, dialog, refer_to, status=202):
        answer = dialog.refer(refer_to)
        check(f"the REFER is answered {status}", answer.status == status, answer)

    def attended(self):
        """B's REFER with Replaces for its dialog with C."""
        ours, theirs = self.bc.tags
        replaces = f"{self.bc.call_id};to-tag={theirs};from-tag={ours}"
        self.refer(self.ba, f"<{self.b.url(1003)}?Replaces={quote(replaces, safe='')}>")

    def blind(self, number=1003):
        self.refer(self.ba, f"<{self.b.url(number)}>")

    def end_with(self, one, other):
        one.bye()
        other.answer_bye()
        self.silence()
        nothing_is_left()

    def silence(self):
        """Nobody was told anything that no flow speaks of."""
        for phone in (self.a, self.b, self.c):
            requests = [m for m in phone.waiting if m.is_request and m.method != "ACK"]
            check(f"{phone.name} has heard nothing else", not requests, requests)
            phone.register(0)
            phone.socket.close()


def call_c(b, c):
    """C lists replaces in its answers."""
    return call(b, c, callee_headers=REPLACES)


def replaced(s):
    """C takes the INVITE with Replaces for its dialog with B, answers, and ends that dialog."""
    invite = s.c.request("INVITE")
    theirs, ours = s.cb.tags[1], s.cb.tags[0]
    want = f"{s.cb.call_id};to-tag={ours};from-tag={theirs}"
    got = invite.get("Replaces").replace(" ", "")
    check("Replaces names C's own dialog", got.split(";")[0] == s.cb.call_id and
          {*got.split(";")} == {*want.split(";")}, got)
    check("it requires replaces", "replaces" in invite.get("Require"), invite.get("Require"))
    check("it offers all that A has", " 0 8 101" in invite.body, invite.body)
    check("to send and receive", direction_of(invite.body) == "sendrecv", invite.body)
    return Dialog.called(s.c, invite, headers=REPLACES)


def told(dialog, status):
    """100 at once, then the final status."""
    first, state = dialog.notified()
    check("B is told 100", first == 100 and state.startswith("active"), (first, state))
    check(f"B is told {status}", dialog.result() == status)


def attended():
    s = Stage()
    s.attended()
    ca = replaced(s)
    check("A is offered sendrecv", s.ab.answer_reinvite() == "sendrecv")
    s.cb.bye()
    told(s.ba, 200)
    s.bc.answer_bye()
    s.ba.bye()
    s.end_with(s.ab, ca)


def attended_c_was_caller():
    """T-1.2: C called B for the consultation."""
    s = Stage(consult=False)
    s.cb, s.bc = call(s.c, s.b, caller_headers=REPLACES)
    s.hold(s.bc, s.cb)
    s.attended()
    ca = replaced(s)
    s.ab.answer_reinvite()
    s.cb.bye()
    told(s.ba, 200)
    s.bc.answer_bye()
    s.ba.bye()
    s.end_with(s.ab, ca)


def attended_b_was_caller():
    """T-1.3: B called A."""
    s = Stage(consult=False)
    s.ba.bye()
    s.ab.answer_bye()
    s.ba, s.ab = call(s.b, s.a)
    s.bc, s.cb = call_c(s.b, s.c)
    s.attended()
    ca = replaced(s)
    s.cb.bye()
    told(s.ba, 200)
    s.bc.answer_bye()
    s.ba.bye()
    s.end_with(s.ab, ca)


def chain():
    """T-11.7: A is transferred to C, and by C back to B. Not being held, A needs no re-INVITE for the second."""
    s = Stage(consult=False)
    s.blind()
    ca = Dialog.called(s.c, s.c.request("INVITE"))
    s.ab.answer_reinvite()
    check("B is told 200 in the end", s.ba.result() == 200)
    s.ba.bye()
    s.refer(ca, f"<{s.c.url(1002)}>")
    ba = Dialog.called(s.b, s.b.request("INVITE"))
    check("C is told 200 in the end", ca.result() == 200)
    ca.bye()
    s.end_with(ba, s.ab)


def attended_c_keeps_the_replaced_dialog():
    """A target that never ends the dialog it replaced: we do."""
    s = Stage()
    s.attended()
    ca = replaced(s)
    s.ab.answer_reinvite()
    told(s.ba, 200)
    s.ba.bye()
    s.cb.answer_bye()
    s.bc.answer_bye()
    s.end_with(ca, s.ab)


def attended_b_hangs_up_first():
    """T-3.1, T-3.3: the transferor ends both its calls right after the 202."""
    s = Stage()
    s.attended()
    s.ba.bye()
    s.bc.bye()
    ca = replaced(s)
    s.ab.answer_reinvite()
    s.cb.bye()
    told(s.ba, 200)
    s.end_with(s.ab, ca)


def attended_c_refuses(status):
    s = Stage()
    s.attended()
    Dialog.called(s.c, s.c.request("INVITE"), status)
    told(s.ba, status)
    s.resume()
    s.bc.bye()
    s.cb.answer_bye()
    s.end_with(s.ba, s.ab)


def attended_c_is_busy():
    """T-12.1."""
    attended_c_refuses(486)


def attended_c_declines():
    """T-12.4."""
    attended_c_refuses(603)


def attended_c_knows_no_replaces():
    """420 to that INVITE: C is joined, target first, over the dialog that it has."""
    s = Stage()
    s.attended()
    invite = s.c.request("INVITE")
    s.c.respond(invite, 420, ["Unsupported: replaces"], tag="x")
    s.c.request("ACK", invite.get("Call-ID"))
    check("C is offered sendrecv", s.cb.answer_reinvite() == "sendrecv")
    check("A is offered sendrecv", s.ab.answer_reinvite() == "sendrecv")
    told(s.ba, 200)
    s.bc.answer_bye()
    s.ba.bye()
    s.end_with(s.ab, s.cb)


def blind():
    s = Stage(consult=False)
    s.blind()
    invite = s.c.request("INVITE")
    check("C is called for itself", f"sip:1003@{s.c.address}" in invite.uri and not invite.get("Replaces"), invite.uri)
    check("with all that A has", " 0 8 101" in invite.body and direction_of(invite.body) == "sendrecv", invite.body)
    ca = Dialog.called(s.c, invite)
    s.ab.answer_reinvite()
    first, _ = s.ba.notified()
    check("B is told 100", first == 100)
    check("B is told 200 in the end", s.ba.result() == 200)
    s.ba.bye()
    s.end_with(s.ab, ca)


def blind_transferor_never_hangs_up():
    """T-4.2: after its final NOTIFY and a while, we end the transferor's call."""
    s = Stage(consult=False)
    s.blind()
    ca = Dialog.called(s.c, s.c.request("INVITE"))
    s.ab.answer_reinvite()
    check("B is told 200 in the end", s.ba.result() == 200)
    s.ba.answer_bye()
    s.end_with(ca, s.ab)


def blind_b_hangs_up_at_202():
    """T-3.1: BYE at once. The transfer goes on."""
    s = Stage(consult=False)
    s.blind()
    s.ba.bye()
    ca = Dialog.called(s.c, s.c.request("INVITE"))
    s.ab.answer_reinvite()
    check("B is told 200 nevertheless", s.ba.result() == 200)
    s.end_with(s.ab, ca)


def blind_b_hangs_up_while_c_rings():
    """T-3.2."""
    s = Stage(consult=False)
    s.blind()
    ca = Dialog.called(s.c, s.c.request("INVITE"), status=0)
    s.ba.bye()
    ca.answer()
    s.ab.answer_reinvite()
    check("B is told 200 nevertheless", s.ba.result() == 200)
    s.end_with(ca, s.ab)


def blind_refused(status, expected):
    s = Stage(consult=False)
    s.blind()
    Dialog.called(s.c, s.c.request("INVITE"), status)
    check(f"B is told {expected}", s.ba.result() == expected)
    s.resume()
    s.end_with(s.ba, s.ab)


def blind_c_is_busy():
    """T-12.1."""
    blind_refused(486, 486)


def blind_c_declines():
    """T-12.4."""
    blind_refused(603, 603)


def blind_no_answer():
    """T-12.2: C rings for ever: it is cancelled (transfer.ring_timeout)."""
    s = Stage(consult=False)
    s.blind()
    invite = s.c.request("INVITE")
    s.c.respond(invite, 180, tag="ringing")
    cancel = s.c.request("CANCEL")
    s.c.respond(cancel, 200, tag="ringing")
    s.c.respond(invite, 487, tag="ringing")
    s.c.request("ACK")
    status = s.ba.result()
    check("B is told that nobody answered", status in (408, 480, 487), status)
    s.resume()
    s.end_with(s.ba, s.ab)


def blind_unknown_number():
    s = Stage(consult=False)
    s.blind(1009)
    check("B is told 404", s.ba.result() == 404)
    s.resume()
    s.end_with(s.ba, s.ab)


def blind_a_hangs_up_while_c_rings():
    """T-3.4: C stops ringing, B hears of it."""
    s = Stage(consult=False)
    s.blind()
    invite = s.c.request("INVITE")
    s.c.respond(invite, 180, tag="ringing")
    s.ab.bye()
    cancel = s.c.request("CANCEL")
    s.c.respond(cancel, 200, tag="ringing")
    s.c.respond(invite, 487, tag="ringing")
    s.c.request("ACK")
    status = s.ba.result()
    check("B is told of a failure", status >= 400, status)
    s.ba.answer_bye()
    s.silence()
    nothing_is_left()


def blind_without_notify():
    """T-5.6: Refer-Sub: false (RFC 4488)."""
    s = Stage(consult=False)
    answer = s.ba.refer(f"<{s.b.url(1003)}>", ["Refer-Sub: false"])
    check("accepted, with no subscription", answer.status in (200, 202) and answer.get("Refer-Sub") == "false",
          answer.data)
    ca = Dialog.called(s.c, s.c.request("INVITE"))
    s.ab.answer_reinvite()
    s.ba.bye()
    s.end_with(s.ab, ca)


def blind_glare():
    """T-6.1: A answers 491 to our re-INVITE once, and takes it the next time."""
    s = Stage(consult=False)
    s.blind()
    ca = Dialog.called(s.c, s.c.request("INVITE"))
    s.ab.answer_reinvite(status=491)
    check("A is offered sendrecv again", s.ab.answer_reinvite() == "sendrecv")
    check("B is told 200 in the end", s.ba.result() == 200)
    s.ba.bye()
    s.end_with(s.ab, ca)


def attended_while_c_rings():
    """T-10.1: B transfers before C has answered. C goes on ringing, B's call to it ends, A gets C's answer."""
    s = Stage(consult=False)
    invite = sip.invite(s.b, s.c)
    ca = Dialog.called(s.c, s.c.request("INVITE"), status=0, headers=REPLACES)
    ringing = s.b.provisional(invite, 180)
    replaces = f"{invite.get('Call-ID')};to-tag={ringing.tag('To')};from-tag={invite.tag('From')}"
    s.refer(s.ba, f"<{s.b.url(1003)}?Replaces={quote(replaces, safe='')}>")
    ended = s.b.final(invite)
    check("B's own call to C ends", ended.status == 487, ended)
    s.b.send(s.b.ack_refusal(invite, ended))
    ca.answer()
    check("C is offered what A has", ca.answer_reinvite() == "sendrecv")
    check("A is offered sendrecv", s.ab.answer_reinvite() == "sendrecv")
    check("B is told 200 in the end", s.ba.result() == 200)
    s.ba.bye()
    s.end_with(s.ab, ca)


def refer_twice():
    """T-5.1: one REFER fails, the next one in the dialog works, each with its Event id."""
    s = Stage(consult=False)
    s.blind(1009)
    check("B is told 404", s.ba.result() == 404)
    s.blind()
    ca = Dialog.called(s.c, s.c.request("INVITE"))
    s.ab.answer_reinvite()
    notify = s.b.request("NOTIFY", s.ba.call_id)
    check("the Event names the second REFER", f"id={s.ba.cseq}" in notify.get("Event"), notify.get("Event"))
    s.b.respond(notify, 200)
    check("B is told 200 in the end", s.ba.result() == 200)
    s.ba.bye()
    s.end_with(s.ab, ca)


def refer_again_and_again():
    """T-14.1: a REFER that comes ten times makes one transfer."""
    s = Stage(consult=False)
    refer = s.ba.message("REFER", [f"Refer-To: <{s.b.url(1003)}>"])
    before = sip.metric("transfers_started")
    for _ in range(10):
        s.b.send(refer.data)
    check("it is accepted", s.b.final(refer).status == 202)
    ca = Dialog.called(s.c, s.c.request("INVITE"))
    s.ab.answer_reinvite()
    check("B is told 200 in the end", s.ba.result() == 200)
    check("one transfer was started", sip.metric("transfers_started") == before + 1)
    s.ba.bye()
    s.end_with(s.ab, ca)


def stranger_replaces():
    """T-14.3: who knows another's dialog may not take it over."""
    s = Stage()
    stranger = Phone("X", 1001, PORT)
    tag_c, tag_us = s.cb.tags
    for what, replaces, statuses in (
            ("Call-ID only", f"{s.cb.call_id};to-tag=x;from-tag=y", (481,)),
            ("one tag", f"{s.cb.call_id};to-tag={tag_us};from-tag=y", (481,)),
            ("all three", f"{s.bc.call_id};to-tag={s.bc.tags[1]};from-tag={s.bc.tags[0]}", (403, 481)),
            ("no to-tag", f"{s.bc.call_id};from-tag={s.bc.tags[0]}", (400,))):
        sent, answer = stranger.ask("INVITE", stranger.url(1002), [f"Replaces: {replaces}", "Require: replaces"],
                                    sdp(stranger.address, 9))
        stranger.send(stranger.ack_refusal(sent, answer))
        check(f"Replaces with {what}: {statuses[0]}", answer.status in statuses, answer)
    check("the victim's call goes on", s.bc.ask("OPTIONS").status == 200)
    s.bc.bye()
    s.cb.answer_bye()
    s.end_with(s.ba, s.ab)


FLOWS = {name: f for name, f in list(globals().items())
         if re.match("attended|blind|chain|refer|stranger", name) and not re.search("refused|refuses", name)}
if __name__ == "__main__":
    sip.run(FLOWS, sys.argv[2:])
