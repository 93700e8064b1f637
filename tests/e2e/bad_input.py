#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""tests/e2e/bad_input.py PORT [FLOW...]: what is wrong gets the RFC's status on the wire, or is dropped and counted."""
import csv
import re
import sys

import sip
from sip import Failed, Message, Phone, call, check, message, metric, sdp, token

PORT = int(sys.argv[1])
TORTURE = "tests/data/sip/torture"
# Where a stricter or a more liberal answer than the table's is as good.
OTHERWISE = {
    "insuf.dat": {0, 400},     # without From, To and Call-ID there is nothing to answer with
    "badbranch.dat": {200},    # matched as RFC 2543 does
    "unksm2.dat": {401},       # RFC 3261 section 10.3: credentials first, then To
}


def answers_to(phone, data):
    """Status by status: whatever came before the answer to an OPTIONS that was sent after it."""
    phone.waiting.clear()
    phone.send(data)
    probe = Message(phone.new("OPTIONS", phone.url()))
    phone.send(probe.data)
    check("it is alive", phone.final(probe).status == 200)
    return [m for m in phone.waiting if m.status != 100]


def answer_to(phone, data):
    answers = answers_to(phone, data)
    if len(answers) != 1:
        raise Failed(f"{data!r} is answered with {answers}")
    return answers[0]


def counted(name, by, action):
    before = metric(name)
    result = action()
    check(f"{name} counts {by} more", metric(name) == before + by, metric(name) - before)
    return result


# ---- requests out of the blue: method, what is wrong with it, status, and what the answer must contain

def option_cases(p):
    o = p.url()
    return [
        ("Max-Forwards is no number", p.new("OPTIONS", o, Max_Forwards="seventy"), 400, "Max-Forwards"),
        ("CSeq of another method", p.new("OPTIONS", o, CSeq="1 INVITE"), 400, "CSeq"),
        ("From with a quote that does not end", p.new("OPTIONS", o, From=f'"A <{o}>;tag=1'), 400, "From"),
        ("two Call-IDs", p.new("OPTIONS", o, ["Call-ID: 2"]), 400, "Call-ID"),
        ("body shorter than Content-Length", p.new("OPTIONS", o, ["Content-Length: 10"], "short"), 400,
         "Content-Length"),
        ("Content-Length is negative", p.new("OPTIONS", o, ["Content-Length: -1"]), 400, "Content-Length"),
        ("SIP/3.0", p.new("OPTIONS", o).replace(b" SIP/2.0\r\n", b" SIP/3.0\r\n", 1), 505, ""),
        ("an unknown method", p.new("DANCE", o), 501, "Allow: INVITE"),
        ("a method that is not for us", p.new("PUBLISH", o, ["Event: presence"]), 405, "Allow: INVITE"),
        ("an unknown scheme", p.new("OPTIONS", "gopher://example.com"), 416, ""),
        ("extensions that nobody has", p.new("OPTIONS", o, ["Require: mindreading, replaces, levitation"]), 420,
         "Unsupported: mindreading, levitation"),
        ("Proxy-Require", p.new("OPTIONS", o, ["Proxy-Require: privacy"]), 420, "Unsupported: privacy"),
        ("BYE for no dialog", p.new("BYE", o, To=f"<{o}>;tag=none"), 481, ""),
        ("NOTIFY for no dialog", p.new("NOTIFY", o, ["Event: refer"], To=f"<{o}>;tag=none"), 481, ""),
        ("CANCEL for no transaction", p.new("CANCEL", o), 481, ""),
    ]


def invite_cases(p):
    o = p.url(1002)
    return [
        ("no hops left", p.new("INVITE", o, Max_Forwards="0"), 483, ""),
        ("a body of another type", p.new("INVITE", o, ["Content-Type: text/plain"], "hello"), 415,
         "Accept: application/sdp"),
        ("a compressed body", p.new("INVITE", o, ["Content-Type: application/sdp", "Content-Encoding: gzip"], "x"), 415,
         "Accept-Encoding: identity"),
        ("an answer that we do not have", p.new("INVITE", o, ["Accept: text/html"], sdp(p.address, 9)), 406,
         "Accept: application/sdp"),
    ]


def refused():
    phone = Phone("A", 1001, PORT)
    for what, data, status, contains in option_cases(phone) + invite_cases(phone):
        answer = answer_to(phone, data)
        if answer.method == "INVITE":
            phone.send(phone.ack_refusal(Message(data), answer))
        text = answer.data.decode()
        check(f"{what}: {status}", answer.status == status and contains in text, text)


def merged():
    phone = Phone("A", 1001, PORT)
    first = Message(phone.new("INVITE", phone.url(1002), body=sdp(phone.address, 9)))
    second = first.data.replace(first.get("Via").encode(), phone.via().encode())
    phone.send(first.data)
    phone.send(second)
    answer = phone.expect("482", lambda m: m.status >= 200 and m.get("Via").startswith(Message(second).get("Via")[:60]))
    check("one request by two ways: 482", answer.status == 482, answer)
    phone.send(phone.ack_refusal(Message(second), answer))
    phone.send(phone.ack_refusal(first, phone.final(first)))


def dropped():
    phone = Phone("A", 1001, PORT)
    for junk in (b"hello", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", bytes(range(2, 256)), b"\xff" * 3000):
        check("no answer to what is not SIP", not counted("not_sip", 1, lambda j=junk: answers_to(phone, j)))
    for nothing in (b"", b"\r\n\r\n", b"\0\1\0\0\x21\x12\xa4\x42" + b"x" * 12):
        check("no answer to a keep-alive", not counted("keepalives_in", 1, lambda n=nothing: answers_to(phone, n)))
    for name in ("Via", "From", "To", "Call_ID", "CSeq"):
        request = phone.new("OPTIONS", phone.url(), **{name: None})
        check(f"without {name} there can be no answer", not counted("parse_errors", 1,
                                                                    lambda r=request: answers_to(phone, r)))
    ack = phone.new("ACK", phone.url(), To=f"<{phone.url()}>;tag=none")
    check("an ACK is never answered", not counted("acks_stray", 1, lambda: answers_to(phone, ack)))


def responses():
    phone = Phone("A", 1001, PORT)

    def response(via, status="SIP/2.0 200 OK", cseq="1 INVITE"):
        return message(status, [f"Via: {via}", "From: <sip:a@example.com>;tag=1", "To: <sip:b@example.com>;tag=2",
                                f"Call-ID: {token()}", f"CSeq: {cseq}"])
    ours = f"SIP/2.0/UDP 127.0.0.1:{PORT};branch=z9hG4bK{token()}"
    for data in (response(ours), response(ours, "SIP/2.0 404 Not Found", "7 BYE")):
        check("no answer to a response", not counted("responses_stray", 1, lambda d=data: answers_to(phone, d)))
    other = f"SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{token()}"
    check("nor to that of another",
          not counted("responses_dropped", 1, lambda: answers_to(phone, response(other))))
    broken = response(ours).replace(b"CSeq: 1", b"CSeq: x")
    check("nor to a broken one", not counted("parse_errors", 1, lambda: answers_to(phone, broken)))


def refers():
    """T-2.18 among them."""
    a, b = Phone("A", 1001, PORT), Phone("B", 1002, PORT)
    a.register()
    b.register()
    here, there = call(a, b)
    uri = b.url(1003)
    for what, headers, statuses in (
            ("none", [], (400,)),
            ("two", [f"Refer-To: <{uri}>", f"Refer-To: <{uri}>"], (400,)),
            ("two in one", [f"Refer-To: <{uri}>, <{uri}>"], (400,)),
            ("broken", ["Refer-To: <sip:"], (400,)),
            ("with a header that is not for it", [f"Refer-To: <{uri}?Route=%3Csip:evil.example%3E>"], (403,)),
            ("with From", [f"Refer-To: <{uri}?From=%3Csip:boss@example.com%3E>"], (403,)),
            ("to BYE", [f"Refer-To: <{uri};method=BYE>"], (403,)),
            ("web page", ["Refer-To: <http://example.com/>"], (416,)),
            ("broken Replaces", [f"Refer-To: <{uri}?Replaces=abc>"], (400,))):
        answer = there.ask("REFER", headers)
        check(f"Refer-To: {what}: {statuses[0]}", answer.status in statuses, answer)
    check("no transfer began", sip.metric("transfers_started") == 0)
    check("the call is as before", there.ask("OPTIONS").status == 200 and
          not any(m.is_request for m in a.waiting), a.waiting)
    here.bye()
    there.answer_bye()
    sip.nothing_is_left()


def terminal():
    """What would move a terminal's cursor, or begin a line of its own, comes escaped into the log."""
    phone = Phone("A", 1001, PORT)
    for data in (b"\x1b[2J\x1b[31m not SIP\n\rrefereed ready\x07",
                 phone.new("OPTIONS", phone.url(), ["Subject: \x1b[2J", "X\x1b: 1"],
                           From=f'"\x1b[2J\x07" <{phone.url()}>;tag=1'),
                 phone.new("OPT\x1bIONS", phone.url()),
                 phone.new("INVITE", "sip:\x1b]0;x\x07@127.0.0.1"),
                 phone.new("OPTIONS", phone.url(), Call_ID="\x1b[2J")):
        answers_to(phone, data)


# ---- RFC 4475 and RFC 5118

def wanted(row):
    if row["file"] in OTHERWISE:
        return OTHERWISE[row["file"]]
    return {0 if w == "drop" else int(w) for w in row["answer"].split("/") if w != "-"}


def torture_phone(data, address):
    """Listens where the top Via says that answers go: its port on the sender's address."""
    port = re.search(rb"^(?:v|via)\s*:\s*SIP\s*/\s*\d.0\s*/\s*\w+\s+(?:\[[^]]*\]|[\w.-]+)\s*:\s*(\d+)", data,
                     re.I | re.M)
    return Phone("peer", 1001, PORT, address, int(port[1]) if port else 5060)


def torture():
    """Each file as it is, but for a branch that another file used: that would be a retransmission."""
    seen = set()
    with open(f"{TORTURE}/EXPECTED.tsv", encoding="utf-8") as table:
        rows = list(csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE))
    check("the table is all there", len(rows) >= 60, len(rows))
    for i, row in enumerate(rows):
        with open(f"{TORTURE}/{row['file']}", "rb") as f:
            data = f.read()
        branch = re.search(rb"branch=(z9hG4bK[\w.-]+)", data)
        if branch and branch[1] in seen:
            data = data.replace(branch[1], branch[1] + str(i).encode(), 1)
        seen.add(branch[1] if branch else row["file"])
        torture_one(row, data)


def torture_one(row, data):
    phone = torture_phone(data, sip.loopback())
    got = list(dict.fromkeys(m.status for m in answers_to(phone, data)))  # an INVITE may be answered again
    status = got[0] if got else 0
    what = f"{row['file']} ({row['title']}): {status}"
    is_response = data.startswith(b"SIP/2.0 ")
    check(what, len(got) <= 1, got)
    if is_response:
        check(what, not got)
    elif row["rfc_says"] == "valid":
        check(what, status in wanted(row) if wanted(row) else status not in (0, 400, 500))
    elif row["parser"] == "either":
        check(what, status != 0 and status < 500)
    else:
        check(what, status in wanted(row))
    phone.socket.close()


FLOWS = {f.__name__: f for f in (refused, merged, dropped, responses, refers, terminal, torture)}
if __name__ == "__main__":
    sip.run(FLOWS, sys.argv[2:])
