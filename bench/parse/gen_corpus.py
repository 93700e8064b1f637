#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""bench/parse/gen_corpus.py DIR: the messages that the parser is measured with.

DIR/corpus/NN_name.sip    12 messages such as phones and trunks send, the same as in tests/data/sip/corpus
DIR/mixed/NN_name_SS.sip  64 variants of each (other users, tags, hosts, lengths), called MIXED: a walk over them in
                          shuffled order defeats the branch predictor's memory of one message
DIR/*/FIELDS.txt          the fields a B2BUA reads of each, one line a message, found by regular expressions here

All is made from fixed seeds. Lines end in CRLF, Content-Length is computed.
"""
import os
import random
import re
import sys
from urllib.parse import unquote

VARIANTS = 64
LETTERS = 'abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ'
ASTERISK_ALLOW = 'Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, SUBSCRIBE, NOTIFY, INFO, PUBLISH, MESSAGE'
SNOM_ALLOW = 'Allow: INVITE, ACK, CANCEL, BYE, REFER, OPTIONS, NOTIFY, SUBSCRIBE, PRACK, MESSAGE, INFO, UPDATE'
VIA_RPORT = 'Via: SIP/2.0/UDP %(ip)s:%(port)s;branch=%(br)s;rport'
VIA_BACK = 'Via: SIP/2.0/UDP %(ip)s:%(port)s;branch=%(br)s;received=%(ip)s;rport=%(port)s'
FROM = 'From: "%(an)s" <sip:%(a)s@%(d)s>;tag=%(ft)s'
TO = 'To: <sip:%(b)s@%(d)s;user=phone>'
TO_TAG = TO + ';tag=%(tt)s'
SNOM_CONTACT = 'Contact: <sip:%(a)s@%(ip)s:%(port)s;line=%(l)s>;reg-id=1'


class Rand:
    """Every draw moves one generator: the order of the calls below is part of the corpus."""

    def __init__(self, seed):
        self.r = random.Random(seed)

    def hex(self, a, b=None):
        return ''.join(self.r.choice('0123456789abcdef') for _ in range(self.r.randint(a, b or a)))

    def num(self, a, b):
        return str(self.r.randint(a, b))

    def alnum(self, a, b=None):
        return ''.join(self.r.choice(LETTERS) for _ in range(self.r.randint(a, b or a)))

    def pick(self, *choices):
        return self.r.choice(choices)

    def ip(self):
        net = self.pick('192.168.%d.%d', '10.20.%d.%d', '172.16.%d.%d', '203.0.113.%d', '198.51.100.%d')
        net = net.replace('%d.%d', '%s.%s' % (self.num(0, 254), self.num(1, 254)))
        return net.replace('%d', self.num(1, 254))

    def ext(self):
        return self.num(100, 99999)

    def e164(self):
        return '+' + self.pick('49', '1', '44', '33', '420') + self.num(10**8, 10**10 - 1)

    def name(self):
        return self.pick('Alice Liddell', 'Bob', 'Front Desk', 'Dr. Karin Müller', 'Warehouse 3', 'J. Smith',
                         'Reception', 'Helpdesk Tier 2')

    def dom(self):
        return self.pick('pbx.example.com', 'sip.example.net', 'voice.customer-a.example.org', 'edge1.example.com',
                         'example.com')


def sdp(r, ip, kind):
    port = str(2 * int(r.num(8000, 30000)))
    lines = ['v=0', 'o=%s %s %s IN IP4 %s' % (r.pick('root', '-', 'PolycomSIP'), r.num(10**8, 2**31),
                                              r.num(1, 2**31), ip),
             's=%s' % r.pick('call', '-', 'Polycom IP Phone'), 'c=IN IP4 ' + ip, 't=0 0']
    if kind == 'offer':
        lines += ['m=audio %s RTP/AVP 9 0 8 3 99 112 18 101' % port, 'a=rtpmap:9 G722/8000', 'a=rtpmap:0 PCMU/8000',
                  'a=rtpmap:8 PCMA/8000', 'a=rtpmap:3 GSM/8000', 'a=rtpmap:99 G726-32/8000',
                  'a=rtpmap:112 AAL2-G726-32/8000', 'a=rtpmap:18 G729/8000', 'a=fmtp:18 annexb=no',
                  'a=rtpmap:101 telephone-event/8000', 'a=fmtp:101 0-16', 'a=ptime:20', 'a=sendrecv']
    else:
        lines += ['m=audio %s RTP/AVP 8 101' % port, 'a=rtpmap:8 PCMA/8000', 'a=rtpmap:101 telephone-event/8000',
                  'a=fmtp:101 0-15', 'a=ptime:20', 'a=sendrecv']
    return '\r\n'.join(lines) + '\r\n'


def msg(first, headers, body=''):
    body = body.encode('utf-8')
    headers = headers + ['Content-Length: %d' % len(body)]
    return (first + '\r\n' + '\r\n'.join(headers) + '\r\n\r\n').encode('utf-8') + body


def ids(r):
    return dict(ip=r.ip(), port=r.pick('5060', '5061', r.num(1024, 65000)), br='z9hG4bK-' + r.hex(8, 14),
                ft=r.hex(8, 12), tt=r.pick('as' + r.hex(8), r.alnum(10, 16)), cid=r.hex(10, 16) + '-' + r.hex(12, 14),
                a=r.ext(), b=r.ext(), d=r.dom(), cs=r.num(1, 3000), an=r.name(), bn=r.name(), l=r.alnum(8, 10))


def snom(r):
    return 'User-Agent: snomD785/10.1.%s.%s' % (r.num(1, 199), r.num(1, 30))


def asterisk(r, header='Server'):
    return '%s: Asterisk PBX 18.%s.0' % (header, r.num(1, 20))


def invite_snom(r):
    i = ids(r)
    return msg('INVITE sip:%(b)s@%(d)s;user=phone SIP/2.0' % i, [
        VIA_RPORT % i, FROM % i, TO % i, 'Call-ID: %(cid)s' % i, 'CSeq: %(cs)s INVITE' % i, 'Max-Forwards: 70', snom(r),
        SNOM_CONTACT % i, 'X-Serialnumber: 0004%s' % r.hex(8).upper(), 'P-Key-Flags: keys="3"',
        'Accept: application/sdp', SNOM_ALLOW, 'Allow-Events: talk, hold, refer, call-info',
        'Supported: timer, 100rel, replaces, from-change', 'Session-Expires: 3600', 'Min-SE: 90',
        'Content-Type: application/sdp'], sdp(r, i['ip'], 'offer'))


def invite_poly_auth(r):
    i = ids(r)
    return msg('INVITE sip:%(b)s@%(d)s;user=phone SIP/2.0' % i, [
        'Via: SIP/2.0/UDP %(ip)s;branch=%(br)s' % i, FROM % i, TO % i, 'CSeq: %(cs)s INVITE' % i,
        'Call-ID: %s@%s' % (i['cid'], i['ip']), 'Contact: <sip:%(a)s@%(ip)s>' % i,
        'Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, MESSAGE, SUBSCRIBE, NOTIFY, PRACK, UPDATE, REFER',
        'User-Agent: PolycomVVX-VVX_411-UA/5.9.%s.%s' % (r.num(0, 7), r.num(1000, 9999)), 'Accept-Language: en',
        'Supported: replaces,100rel', 'Allow-Events: conference,talk,hold',
        'Proxy-Authorization: Digest username="%s", realm="%s", nonce="%s", qop=auth, cnonce="%s", nc=00000001, '
        'uri="sip:%s@%s;user=phone", response="%s", algorithm=MD5' % (
            i['a'], i['d'], r.hex(40), r.alnum(14), i['b'], i['d'], r.hex(32)),
        'Max-Forwards: 70', 'Content-Type: application/sdp'], sdp(r, i['ip'], 'offer'))


def ringing(r):
    i = ids(r)
    return msg('SIP/2.0 180 Ringing', [
        VIA_BACK % i, FROM % i, TO_TAG % i, 'Call-ID: %(cid)s' % i, 'CSeq: %(cs)s INVITE' % i,
        'Contact: <sip:%s@%s:5060>' % (i['b'], r.ip()), ASTERISK_ALLOW, 'Supported: replaces, timer', asterisk(r)])


def ok_sdp(r):
    i = ids(r)
    ip2 = r.ip()
    return msg('SIP/2.0 200 OK', [
        VIA_BACK % i, 'Record-Route: <sip:%s;lr;ftag=%s>' % (r.ip(), i['ft']), FROM % i, TO_TAG % i,
        'Call-ID: %(cid)s' % i, 'CSeq: %(cs)s INVITE' % i,
        'Contact: "%s" <sip:%s@%s:5060;transport=udp>' % (i['bn'], i['b'], ip2), ASTERISK_ALLOW,
        'Supported: replaces, timer', 'Session-Expires: 1800;refresher=uas', 'Require: timer', asterisk(r),
        'Content-Type: application/sdp'], sdp(r, ip2, 'answer'))


def ack(r):
    i = ids(r)
    return msg('ACK sip:%s@%s:5060;transport=udp SIP/2.0' % (i['b'], r.ip()), [
        VIA_RPORT % i, 'Route: <sip:%s;lr;ftag=%s>' % (r.ip(), i['ft']), FROM % i, TO_TAG % i,
        'Call-ID: %(cid)s' % i, 'CSeq: %(cs)s ACK' % i, 'Max-Forwards: 70', SNOM_CONTACT % i])


def bye(r):
    i = ids(r)
    return msg('BYE sip:%s@%s:5060;transport=udp SIP/2.0' % (i['b'], r.ip()), [
        VIA_RPORT % i, 'Route: <sip:%s;lr;ftag=%s>' % (r.ip(), i['ft']), FROM % i, TO_TAG % i,
        'Call-ID: %(cid)s' % i, 'CSeq: %(cs)s BYE' % i, 'Max-Forwards: 70', snom(r),
        'RTP-RxStat: Total_Rx_Pkts=%s,Rx_Pkts=%s,Rx_Pkts_Lost=0,Remote_Rx_Pkts_Lost=0' % (
            r.num(100, 9999), r.num(100, 9999)),
        'RTP-TxStat: Total_Tx_Pkts=%s,Tx_Pkts=%s,Remote_Tx_Pkts=0' % (r.num(100, 9999), r.num(100, 9999)),
        'Reason: Q.850;cause=16;text="Normal call clearing"'])


def refer_replaces(r):
    i = ids(r)
    j = ids(r)
    replaces = '%s%%40%s%%3Bto-tag%%3D%s%%3Bfrom-tag%%3D%s' % (j['cid'], j['ip'], j['tt'], j['ft'])
    return msg('REFER sip:%s@%s:5060;transport=udp SIP/2.0' % (i['b'], r.ip()), [
        VIA_RPORT % i, FROM % i, TO_TAG % i, 'Call-ID: %(cid)s' % i, 'CSeq: %(cs)s REFER' % i, 'Max-Forwards: 70',
        SNOM_CONTACT % i, snom(r), 'Refer-To: <sip:%s@%s?Replaces=%s>' % (j['b'], j['d'], replaces),
        'Referred-By: <sip:%(a)s@%(d)s>' % i, 'Supported: timer, 100rel, replaces, from-change', SNOM_ALLOW])


def notify_sipfrag(r):
    i = ids(r)
    return msg('NOTIFY sip:%(a)s@%(ip)s:%(port)s;line=%(l)s SIP/2.0' % i, [
        'Via: SIP/2.0/UDP %s:5060;branch=%s;rport' % (r.ip(), i['br']), 'Max-Forwards: 70',
        'From: <sip:%(b)s@%(d)s;user=phone>;tag=%(tt)s' % i, 'To: "%(an)s" <sip:%(a)s@%(d)s>;tag=%(ft)s' % i,
        'Contact: <sip:%s@%s:5060>' % (i['b'], r.ip()), 'Call-ID: %(cid)s' % i, 'CSeq: %(cs)s NOTIFY' % i,
        asterisk(r, 'User-Agent'), 'Event: refer;id=%s' % r.num(2, 99),
        'Subscription-state: terminated;reason=noresource', 'Content-Type: message/sipfrag;version=2.0',
        ASTERISK_ALLOW, 'Supported: replaces, timer'], 'SIP/2.0 200 OK\r\n')


def register_auth(r):
    i = ids(r)
    mac = r.hex(12)
    return msg('REGISTER sip:%(d)s SIP/2.0' % i, [
        VIA_RPORT % i, FROM % i, 'To: "%(an)s" <sip:%(a)s@%(d)s>' % i, 'Call-ID: %(cid)s' % i,
        'CSeq: %(cs)s REGISTER' % i, 'Max-Forwards: 70', snom(r),
        'Contact: <sip:%s@%s:%s;line=%s>;reg-id=1;q=1.0;+sip.instance="<urn:uuid:%s-%s-%s-%s-%s>";audio;'
        'mobility="fixed";duplex="full";description="snomD785";actor="principal";events="dialog";'
        'methods="INVITE,ACK,CANCEL,BYE,REFER,OPTIONS,NOTIFY,SUBSCRIBE,PRACK,MESSAGE,INFO"' % (
            i['a'], i['ip'], i['port'], i['l'], r.hex(8), r.hex(4), r.hex(4), r.hex(4), mac),
        'Allow-Events: dialog', 'X-Real-IP: %(ip)s' % i, 'Supported: path, gruu',
        'Authorization: Digest username="%s",realm="%s",nonce="%s",uri="sip:%s",qop=auth,nc=00000001,cnonce="%s",'
        'response="%s",algorithm=MD5' % (i['a'], i['d'], r.hex(32), i['d'], r.hex(8), r.hex(32)),
        'Expires: 3600'])


def carrier_vias(r):
    for k in range(6):
        yield 'Via: SIP/2.0/%s %s%s;branch=z9hG4bK%s%s' % (
            r.pick('UDP', 'TCP', 'UDP'), r.pick(r.ip(), 'sbc%s.carrier.example.net' % r.num(1, 40)),
            r.pick(':5060', '', ':5080'), r.hex(16, 28),
            ';received=%s;rport=%s' % (r.ip(), r.num(1024, 65000)) if k else '')


def invite_carrier(r):
    i = ids(r)
    a = r.e164()
    b = r.e164()
    headers = list(carrier_vias(r))
    for _ in range(4):
        headers.append('Record-Route: <sip:%s;lr;ftag=%s;did=%s.%s>' % (r.ip(), i['ft'], r.hex(3), r.hex(6)))
    headers += [
        'From: "%s" <sip:%s@%s;user=phone>;tag=%s' % (a, a, i['d'], i['ft']),
        'To: <sip:%s@%s;user=phone>' % (b, r.ip()),
        'Call-ID: %s@%s' % (r.hex(32), r.ip()), 'CSeq: %(cs)s INVITE' % i, 'Max-Forwards: %s' % r.num(50, 69),
        'Contact: <sip:%s@%s:5060;transport=udp;ob>' % (a, r.ip()),
        'P-Asserted-Identity: "%s" <sip:%s@ims.carrier.example.net;user=phone>' % (i['an'], a),
        'P-Asserted-Identity: <tel:%s>' % a,
        'P-Charging-Vector: icid-value=%s;icid-generated-at=%s;orig-ioi=carrier.example.net' % (r.hex(32), r.ip()),
        'P-Access-Network-Info: 3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=%s' % r.hex(15), 'P-Early-Media: supported',
        'Diversion: <sip:%s@%s;user=phone>;privacy=off;reason=unconditional;screen=yes;counter=1' % (r.e164(), i['d']),
        'History-Info: <sip:%s@%s;user=phone?Reason=SIP%%3Bcause%%3D302>;index=1' % (r.e164(), i['d']),
        'History-Info: <sip:%s@%s;user=phone;cause=302>;index=1.1' % (b, i['d']), 'Privacy: none',
        'Allow: INVITE,ACK,CANCEL,BYE,PRACK,UPDATE,REFER,NOTIFY,INFO,OPTIONS,MESSAGE,SUBSCRIBE',
        'Supported: 100rel,timer,histinfo,precondition', 'Session-Expires: 1800;refresher=uac', 'Min-SE: 90',
        'Accept: application/sdp,application/isup,multipart/mixed', 'User-Agent: Carrier-SBC/9.2',
        'Content-Disposition: session;handling=required', 'Content-Type: application/sdp']
    return msg('INVITE sip:%s@%s:5060;user=phone SIP/2.0' % (b, r.ip()), headers, sdp(r, i['ip'], 'offer'))


def options_compact(r):
    i = ids(r)
    return msg('OPTIONS sip:%(a)s@%(ip)s:%(port)s SIP/2.0' % i, [
        'v: SIP/2.0/UDP %s;branch=%s' % (r.ip(), i['br']), 'f: <sip:ping@%(d)s>;tag=%(ft)s' % i,
        't: <sip:%(a)s@%(d)s>' % i, 'i: %(cid)s' % i, 'CSeq: %(cs)s OPTIONS' % i,
        'm: <sip:ping@%s:5060>' % r.ip(), 'Max-Forwards: 70', 'k: timer'])


def unauthorized(r):
    i = ids(r)
    return msg('SIP/2.0 401 Unauthorized', [
        VIA_BACK % i, FROM % i, 'To: "%(an)s" <sip:%(a)s@%(d)s>;tag=%(tt)s' % i, 'Call-ID: %(cid)s' % i,
        'CSeq: %(cs)s REGISTER' % i, asterisk(r), ASTERISK_ALLOW, 'Supported: replaces, timer',
        'WWW-Authenticate: Digest algorithm=MD5, realm="%s", nonce="%s", qop="auth"' % (i['d'], r.hex(32))])


MESSAGES = [('invite_snom', invite_snom), ('invite_poly_auth', invite_poly_auth), ('180', ringing),
            ('200_sdp', ok_sdp), ('ack', ack), ('bye', bye), ('refer_replaces', refer_replaces),
            ('notify_sipfrag', notify_sipfrag), ('register_auth', register_auth), ('invite_carrier', invite_carrier),
            ('options_compact', options_compact), ('401', unauthorized)]


# ---- the oracle

COMPACT = {'v': 'via', 'f': 'from', 't': 'to', 'i': 'call-id', 'm': 'contact', 'l': 'content-length',
           'c': 'content-type'}
URI = re.compile(r'<?sip:(?:([^@>]*)@)?([^:;?>]+)(?::(\d+))?')


def uri(text):
    found = URI.search(text)
    return (found.group(1) or '', found.group(2), found.group(3) or '0') if found else ('', '', '0')


def tag(text):
    found = re.search(r'>;tag=([^;]*)', text)
    return found.group(1) if found else ''


def fields(name, data):
    """One line of FIELDS.txt."""
    lines = data.decode('utf-8').partition('\r\n\r\n')[0].split('\r\n')
    first = {}
    for line in lines[1:]:
        key, _, value = line.partition(':')
        first.setdefault(COMPACT.get(key.lower(), key.lower()), value.strip())
    start = lines[0].split(' ', 2)
    answer = start[0] == 'SIP/2.0'
    via = re.match(r'SIP/2.0/(\w+) ([^:;]+)(?::(\d+))?.*?;branch=([^;]*)', first['via'])
    replaces = re.search(r'Replaces=([^>]*)', first.get('refer-to', ''))
    replaces = unquote(replaces.group(1)) if replaces else ''
    replaces = re.match(r'([^;]*)(?:;to-tag=([^;]*);from-tag=([^;]*))?', replaces).groups('')
    from_, to, refer = uri(first['from']), uri(first['to']), uri(first.get('refer-to', ''))
    return ' '.join([
        name, 'rc=0', 'rsp' if answer else 'req', start[1] if answer else '0', '' if answer else start[0],
        'ruri=%s@%s:%s' % (uri('' if answer else start[1])), 'via=%s/%s:%s/%s' % (via.group(1, 2) + (
            via.group(3) or '0', via.group(4))),
        'from=%s@%s;%s' % (from_[0], from_[1], tag(first['from'])), 'to=%s@%s;%s' % (to[0], to[1], tag(first['to'])),
        'cid=' + first['call-id'], 'cseq=' + first['cseq'].replace(' ', '/'),
        'ct=%s@%s:%s' % uri(first.get('contact', '')), 'mf=' + first.get('max-forwards', '-1'),
        'cl=' + first['content-length'], 'type=' + first.get('content-type', '').partition(';')[0],
        'refer=%s@%s' % refer[:2], 'rep=%s/%s/%s' % replaces]) + '\n'


def write(folder, messages):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, 'FIELDS.txt'), 'w', encoding='utf-8') as oracle:
        for name, data in messages:
            with open(os.path.join(folder, name + '.sip'), 'wb') as f:
                f.write(data)
            oracle.write(fields(name, data))


def main():
    numbered = [(n, '%02d_%s' % (n, name), make) for n, (name, make) in enumerate(MESSAGES, 1)]
    write(os.path.join(sys.argv[1], 'corpus'), [(name, make(Rand(n))) for n, name, make in numbered])
    write(os.path.join(sys.argv[1], 'mixed'),
          [('%s_%02d' % (name, s), make(Rand(1000 * (s + 1) + n))) for n, name, make in numbered
           for s in range(VARIANTS)])


main()
