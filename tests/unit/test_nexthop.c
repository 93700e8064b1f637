/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Which way a packet leaves, as the kernel says of devices that are made here, in network namespaces of this test's
 * own. Needs root; without, it says so and passes nothing.
 */
#define _GNU_SOURCE
#include "core/runtime/nexthop.h"
#include "tests/unit/unit.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t other; /* is in another namespace */
static struct nexthops tables;

/* With the other's number in the place of %d. */
static void run(const char *command) {
    char text[256];
    snprintf(text, sizeof text, command, (int)other);
    CHECK_EQ(system(text), 0);
}

static struct addr address(const char *text) {
    struct addr a;
    CHECK_TRUE(addr_parse(slice_str(text), 0, &a));
    return a;
}

static struct nexthop to(const char *text) {
    struct addr dst = address(text), src = { 0 };
    struct nexthop n;
    CHECK_TRUE(nexthop_find(&tables, &dst, &src, &n));
    return n;
}

static bool pair(const char *text) {
    struct nexthop n = to(text);
    nexthop_close(&tables); /* what was believed is forgotten */
    nexthop_open(&tables);
    return nexthop_is_pair(&tables, &n);
}

static void test_devices(void) {
    run("ip link add away type veth peer name there netns %d");
    run("ip link add one type veth peer name two");
    run("ip link add bridge type bridge; ip addr add 10.3.0.1/24 dev bridge; ip link set bridge up");
    run("ip addr add 10.1.0.1/24 dev away; ip link set away up; ip addr add 10.2.0.1/24 dev one; ip link set one up;"
        "ip link set two up");
    run("ip neigh add 10.1.0.2 lladdr 02:00:00:00:00:02 dev away nud permanent");
    run("ip route add 10.9.0.0/16 via 10.1.0.2; nsenter -t %d -n ip link set there up");
}

static void test_route(void) {
    struct addr here = address("10.1.0.1"), gateway = address("10.1.0.2"), nowhere = address("192.0.2.1");
    struct addr src = { 0 };
    struct nexthop n = to("10.9.1.1");
    uint8_t hop_mac[6], our_mac[6];
    static const uint8_t want[6] = { 2, 0, 0, 0, 0, 2 };
    CHECK_TRUE(addr_eq_ip(&n.hop, &gateway) && addr_eq_ip(&n.src, &here));
    CHECK_TRUE(nexthop_mac(&tables, &n, hop_mac, our_mac));
    CHECK_EQ(memcmp(hop_mac, want, 6), 0);
    n = to("10.1.0.77");
    CHECK_TRUE(!nexthop_mac(&tables, &n, hop_mac, our_mac));
    CHECK_TRUE(!nexthop_find(&tables, &nowhere, &src, &n));
    CHECK_TRUE(!nexthop_find(&tables, &here, &src, &n)); /* this machine */
}

static void test_pair(void) {
    CHECK_TRUE(pair("10.1.0.2"));
    CHECK_TRUE(pair("10.9.1.1"));
    CHECK_TRUE(!pair("10.2.0.2")); /* the other end is here */
    CHECK_TRUE(!tables.devices[0].other);
    struct nexthop none = { 0 };
    CHECK_TRUE(!nexthop_is_pair(&tables, &none));
}

/* Not asked about again. */
static void test_no_veth(void) {
    CHECK_TRUE(!pair("10.3.0.2"));
    CHECK_TRUE(tables.devices[0].other);
}

/* What somebody wants delayed or shaped there must pass it. Within 2 s. */
static void test_queue(void) {
    struct nexthop n = to("10.1.0.2");
    CHECK_TRUE(nexthop_is_pair(&tables, &n));
    run("tc qdisc add dev away root pfifo");
    CHECK_TRUE(!pair("10.1.0.2"));
    run("tc qdisc del dev away root");
    CHECK_TRUE(pair("10.1.0.2"));
    run("tc qdisc add dev away root pfifo");
    unsigned tries = 0;
    while (nexthop_is_pair(&tables, &n) && tries++ < 1000)
        usleep(10000);
    CHECK_TRUE(!nexthop_is_pair(&tables, &n));
}

/* Within 2 s. */
static void test_new_mac(void) {
    static const uint8_t want[6] = { 2, 0, 0, 0, 0, 0x77 };
    uint8_t hop_mac[6], our_mac[6];
    struct nexthop n = to("10.1.0.2");
    CHECK_TRUE(nexthop_mac(&tables, &n, hop_mac, our_mac));
    CHECK_TRUE(memcmp(our_mac, want, 6) != 0);
    run("ip link set dev away address 02:00:00:00:00:77;" /* which forgets the neighbours */
        "ip neigh replace 10.1.0.2 lladdr 02:00:00:00:00:02 dev away nud permanent");
    for (unsigned tries = 0; memcmp(our_mac, want, 6) && tries < 1000; tries++) {
        usleep(10000);
        CHECK_TRUE(nexthop_mac(&tables, &n, hop_mac, our_mac));
    }
    CHECK_EQ(memcmp(our_mac, want, 6), 0);
    run("ip link add gone type veth peer name gone2; ip addr add 10.4.0.1/24 dev gone; ip link set gone up;"
        "ip link set gone2 up; ip neigh add 10.4.0.2 lladdr 02:00:00:00:00:04 dev gone nud permanent");
    n = to("10.4.0.2");
    CHECK_TRUE(nexthop_mac(&tables, &n, hop_mac, our_mac));
    run("ip link del gone");
    CHECK_TRUE(!nexthop_mac(&tables, &n, hop_mac, our_mac));
}

static bool begin(void) {
    int pipes[2];
    char byte = 0;
    if (pipe(pipes) || unshare(CLONE_NEWNET) || system("ip link set lo up && tc -V >/dev/null"))
        return false;
    other = fork();
    if (other == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        byte = unshare(CLONE_NEWNET) == 0;
        if (write(pipes[1], &byte, 1) == 1)
            pause();
        _exit(0);
    }
    return other > 0 && read(pipes[0], &byte, 1) == 1 && byte;
}

int main(void) {
    if (geteuid() != 0 || !begin()) {
        printf("skip: no network namespaces here (root, iproute2)\n");
        return 77;
    }
    nexthop_open(&tables);
    int status = UNIT_RUN("nexthop", UNIT(test_devices), UNIT(test_route), UNIT(test_pair), UNIT(test_no_veth),
                          UNIT(test_queue), UNIT(test_new_mac));
    nexthop_close(&tables);
    kill(other, SIGKILL);
    waitpid(other, NULL, 0);
    return status;
}
