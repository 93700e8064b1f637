# SPDX-License-Identifier: AGPL-3.0-or-later
#
# make            the daemon, its tool, the demo's phones          make run    the daemon in the foreground
# make demo       three phones and an attended transfer (FLOW=blind: a blind one)
# make demo-cluster  the same through three nodes with a Redis Cluster, one of which is killed in the midst
# make sim        the simulator, a minute of fresh seeds (SEED=n, HOURS=n)    make sim-mutants  it finds planted faults
# make test       everything, in stages        make unit, ladders, e2e, tidy    one stage of it
# make test-full  the same, and what is only sampled there
# make kill-matrix  a node dies at each point of each flow, in virtual time (FLOW=replace/2-one-vip/17)
# make bench        all of these, into bench/REPORT.md (SECTIONS='engine flood parse store relay call curve')
# make bench-parse  the SIP parser against others (ROUNDS=n)
# make conformance  tests/CONFORMANCE.md, which test shows what, made from the tests
# make asan tsan  the tests under sanitizers   make fuzz SECONDS=30    each fuzz target   make cov    line coverage
# make bench-store  the Redis store beside redis-benchmark (ARGS='--takeover 1000000')
# make bench-relay RTP packets and their cost, beside rtpengine (ARGS=); also -price, -steered: bench/relay/README.md
# make allocations  100 000 calls, then as many transfers, of which none takes memory (CALLS=)
# make bench-call  calls, transfers, their cost and memory, beside SIPp and Kamailio (SCENARIO=, RATE=, ARGS=: one run)
# make bench-curve  goodput by offered load, and after an overload (PHASE=: seconds; TARGET=referee-redis: with Redis)
# make bench-flood  what a datagram costs that nobody should have sent
# make bench-engine  instructions a call of the engine alone, by callgrind (SCENARIO=); memory of a held one
# make deps       the Debian packages          make install PREFIX=/usr/local DESTDIR=
#
# B=build/NAME keeps builds with other flags apart; each source is compiled once for all programs of a B. V=1: commands.
ifeq ($(origin CC),default)
CC := gcc
endif
# BUCKETS=n: with fewer buckets, for the simulator's worlds of several engines alone (core/base/limits.h).
B ?= build/$(notdir $(CC))$(if $(BUCKETS),-$(BUCKETS))
OPT ?= -O2 -g
WARN := -Wall -Wextra -Wpedantic -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith
CFLAGS_ALL = -std=gnu17 $(WARN) $(OPT) -I. -isystem $(B)/skel -MMD -MP $(CFLAGS) \
    $(if $(BUCKETS),-DLIMIT_BUCKETS=$(BUCKETS))
LINK = $(CC) $(OPT) $(CFLAGS) -Wl,--as-needed $(LDFLAGS) -o $@

X86 := $(findstring x86_64,$(shell $(CC) -dumpmachine))
FLOW ?= attended
SECONDS ?= 30
ROUNDS ?= 101
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc

# ---- sources; what does not exist yet is skipped

# The pure objects: no system call, no clock, no thread, no heap. tests/tidy.py holds them to it.
PURE_DIRS := core/base parser core/sip core/b2b rtp store
PURE_SRC := $(sort $(wildcard $(addsuffix /*.c,$(PURE_DIRS))))
PURE_LIB := $(B)/libreferee.a

RUNTIME_SRC := $(sort $(wildcard core/runtime/*.c))
RUNTIME_LIB := $(B)/libruntime.a

# The phones and the demo need oRTP; where it is missing they are left out.
HAVE_ORTP := $(shell pkg-config --exists ortp 2>/dev/null && echo yes)
PHONE_SRC := $(if $(HAVE_ORTP),$(sort $(wildcard bench/phone/*.c)))
PHONE_LIB := $(B)/libphone.a
DEMO_SRC := $(if $(HAVE_ORTP),$(sort $(wildcard bench/demo/*.c)))
BENCH_SRC := $(sort $(wildcard bench/*.c))
CALL_SRC := $(sort $(wildcard bench/call/*.c))
STORE_SRC := $(sort $(wildcard bench/store/*.c))
# The same calls with the engine alone behind them.
ENGINE_SRC := $(sort $(wildcard bench/engine/*.c)) $(addprefix bench/call/,dialog.c hist.c load.c media.c message.c \
    packet.c register.c scenario.c trunk.c)

UNIT_SRC := $(sort $(wildcard tests/unit/test_*.c))
LADDER_SRC := $(sort $(wildcard tests/ladder/*.c))
SIM_SRC := $(sort $(wildcard tests/sim/*.c))
KILL_SRC := $(sort $(wildcard tests/kill/*.c))
FUZZ_SRC := $(sort $(wildcard tests/fuzz/fuzz_*.c))

# Archives in the order of the include direction, then the libraries; --as-needed drops what a program does not use.
ARCHIVES := $(if $(PHONE_SRC),$(PHONE_LIB)) $(if $(RUNTIME_SRC),$(RUNTIME_LIB)) $(PURE_LIB)
LIBS := -lssl -lcrypto -lhiredis -lnettle -luring -lcyaml -lyaml -lbpf -lsrtp2 -lpthread -lm
ORTP_LIBS := $(if $(PHONE_SRC),$(shell pkg-config --libs ortp 2>/dev/null))
JEMALLOC ?= -ljemalloc

PROGRAMS := $(if $(and $(wildcard core/main.c),$(wildcard core/b2b/engine.c)),$(B)/refereed) \
            $(if $(wildcard core/refereectl.c),$(B)/refereectl) \
            $(if $(DEMO_SRC),$(B)/referee-demo) \
            $(if $(CALL_SRC),$(B)/bench-call $(B)/bench-engine) \
            $(if $(STORE_SRC),$(B)/bench-store) \
            $(patsubst bench/%.c,$(B)/bench-%,$(BENCH_SRC))
UNIT_BIN := $(patsubst tests/unit/%.c,$(B)/tests/%,$(UNIT_SRC))
LADDER_BIN := $(if $(LADDER_SRC),$(B)/ladder)
SIM_BIN := $(if $(SIM_SRC),$(B)/sim)
KILL_BIN := $(if $(KILL_SRC),$(B)/kill)
FUZZ_BIN := $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(FUZZ_SRC))

comma := ,
objects = $(patsubst %.c,$(B)/%.o,$(1))
# One short line for a command; the whole command with V=1.
say = $(if $(V),,@echo '  $(1) $@';)

.PHONY: all lib deps demo run install clean FORCE
.PHONY: conformance test tidy unit ladders kill-matrix sim sim-smoke sim-mutants e2e programs-for-tests asan tsan
.PHONY: cov fuzz test-full
.PHONY: fuzz-smoke fuzz-run bench-call bench-engine bench-store
all: lib $(PROGRAMS)
lib: $(PURE_LIB)

# ---- compiling

# Files that change only when their text does: what depends on them is rebuilt when flags or the list of sources change.
write_if_changed = @mkdir -p $(@D); echo '$(1)' | cmp -s - $@ || echo '$(1)' > $@
$(B)/flags: FORCE
	$(call write_if_changed,$(CC) $(CFLAGS_ALL))
$(B)/sources: FORCE
	$(call write_if_changed,$(PURE_SRC) $(RUNTIME_SRC) $(PHONE_SRC))

$(B)/%.o: %.c $(B)/flags | build/deps.build
	@mkdir -p $(@D)
	$(call say,cc)$(CC) $(CFLAGS_ALL) -c -o $@ $<

# The program in the kernel, embedded in the daemon as a skeleton.
BPF_FLAGS := -target bpf -mcpu=v3 -O2 -g -ffreestanding -Wall -Wextra -Werror -I.
BPF_FLAGS += -I/usr/include/$(shell uname -m)-linux-gnu -D__TARGET_ARCH_$(subst x86_64,x86,$(shell uname -m))
BPFTOOL := $(firstword $(wildcard /usr/sbin/bpftool) bpftool)
FASTPATH_SKEL := $(B)/skel/fastpath.skel.h
$(B)/skel/fastpath.bpf.o: rtp/fastpath/fastpath.bpf.c | build/deps.build
	@mkdir -p $(@D)
	$(call say,bpf)clang $(BPF_FLAGS) -MMD -MP -c -o $@ $<
$(FASTPATH_SKEL): $(B)/skel/fastpath.bpf.o
	$(call say,skel)$(BPFTOOL) gen object $(B)/skel/fastpath.linked.o $< && \
	    $(BPFTOOL) gen skeleton $(B)/skel/fastpath.linked.o name fastpath_bpf > $@.new && mv $@.new $@
$(B)/core/runtime/fastpath.o $(B)/tests/unit/test_fastpath.o: $(FASTPATH_SKEL)

STEER_SKEL := $(B)/skel/steer.skel.h
$(B)/skel/steer.bpf.o: core/runtime/bpf/steer.bpf.c | build/deps.build
	@mkdir -p $(@D)
	$(call say,bpf)clang $(BPF_FLAGS) -MMD -MP -c -o $@ $<
$(STEER_SKEL): $(B)/skel/steer.bpf.o
	$(call say,skel)$(BPFTOOL) gen object $(B)/skel/steer.linked.o $< && \
	    $(BPFTOOL) gen skeleton $(B)/skel/steer.linked.o name steer_bpf > $@.new && mv $@.new $@
$(B)/core/runtime/steering.o $(B)/tests/unit/test_steer_fast.o: $(STEER_SKEL)

# The parser once more for each instruction set; parser/sip_path.c picks at run time.
$(B)/parser/sip_path_avx2.o: private CFLAGS_ALL += $(if $(X86),-mavx2 -mbmi -mbmi2 -mpopcnt)
$(B)/parser/sip_path_avx512.o: private CFLAGS_ALL += $(if $(X86),-mavx2 -mbmi -mbmi2 -mpopcnt -mavx512bw -mavx512vl)

$(PURE_LIB): $(call objects,$(PURE_SRC))
$(RUNTIME_LIB): $(call objects,$(RUNTIME_SRC))
$(PHONE_LIB): $(call objects,$(PHONE_SRC))
$(B)/lib%.a: $(B)/sources
	@rm -f $@
	$(call say,ar)ar rcs $@ $(filter %.o,$^)

# ---- linking

# jemalloc serves the daemon alone: what lies outside its pools.
$(B)/refereed: $(B)/core/main.o $(ARCHIVES)
	$(call say,ld)$(LINK) $^ $(ORTP_LIBS) $(LIBS) $(JEMALLOC)

# As of the release before the newest format of records: what asks for RECORD_FORMAT. For tests/e2e/releases.test.
OLDER := $(addprefix $(B)/older/core/,b2b/record.o b2b/record_decode.o b2b/record_format.o b2b/recover.o runtime/node.o)
$(OLDER): $(B)/older/%.o: %.c $(B)/flags | build/deps.build
	@mkdir -p $(@D)
	$(call say,cc)$(CC) $(CFLAGS_ALL) -DRECORD_FORMAT=1 -c -o $@ $<
-include $(OLDER:.o=.d)
all: $(B)/refereed-older
$(B)/refereed-older: $(B)/core/main.o $(OLDER) $(RUNTIME_LIB) $(PURE_LIB)
	$(call say,ld)$(LINK) $^ $(ORTP_LIBS) $(LIBS) $(JEMALLOC)

$(B)/refereectl: $(B)/core/refereectl.o $(ARCHIVES)
	$(call say,ld)$(LINK) $^ $(ORTP_LIBS) $(LIBS)

$(B)/referee-demo: $(call objects,$(DEMO_SRC)) $(ARCHIVES)
	$(call say,ld)$(LINK) $^ $(ORTP_LIBS) $(LIBS)

$(B)/bench-call: $(call objects,$(CALL_SRC) bench/store/server.c) $(ARCHIVES)
	$(call say,ld)$(LINK) $^ $(ORTP_LIBS) $(LIBS)

$(B)/bench-store: $(call objects,$(STORE_SRC)) $(ARCHIVES)
	$(call say,ld)$(LINK) $^ $(ORTP_LIBS) $(LIBS)

$(B)/bench-engine: $(call objects,$(ENGINE_SRC)) $(PURE_LIB)
	$(call say,ld)$(LINK) $^ $(LIBS)
all: $(B)/count-allocs.so
$(B)/count-allocs.so: tests/unit/count_allocs.c $(B)/flags
	$(call say,ld)$(CC) -std=gnu17 $(WARN) -O2 -shared -fPIC -o $@ $< -ldl

all: $(B)/bench-relay-load $(B)/bench-relay-price $(B)/bench-relay-steered
$(B)/bench-relay-load: $(B)/bench/relay/load.o
	$(call say,ld)$(LINK) $^

# What the program in the kernel costs, with its features and without.
BARE_SKEL := $(B)/skel/bare.skel.h
$(B)/skel/bare.bpf.o: bench/relay/bare.bpf.c | build/deps.build
	@mkdir -p $(@D)
	$(call say,bpf)clang $(BPF_FLAGS) -MMD -MP -c -o $@ $<
$(BARE_SKEL): $(B)/skel/bare.bpf.o
	$(call say,skel)$(BPFTOOL) gen object $(B)/skel/bare.linked.o $< && \
	    $(BPFTOOL) gen skeleton $(B)/skel/bare.linked.o name bare_bpf > $@.new && mv $@.new $@
$(B)/bench/relay/price.o: $(BARE_SKEL)
$(B)/bench-relay-price: $(B)/bench/relay/price.o
	$(call say,ld)$(LINK) $^ -lbpf

# One socket for all media ports, by SK_LOOKUP, beside a socket for each.
STEER_ONE_SKEL := $(B)/skel/steer_one.skel.h
$(B)/skel/steer_one.bpf.o: bench/relay/steer.bpf.c | build/deps.build
	@mkdir -p $(@D)
	$(call say,bpf)clang $(BPF_FLAGS) -MMD -MP -c -o $@ $<
$(STEER_ONE_SKEL): $(B)/skel/steer_one.bpf.o
	$(call say,skel)$(BPFTOOL) gen object $(B)/skel/steer_one.linked.o $< && \
	    $(BPFTOOL) gen skeleton $(B)/skel/steer_one.linked.o name steer_one_bpf > $@.new && mv $@.new $@
$(B)/bench/relay/steered.o: $(STEER_ONE_SKEL)
$(B)/bench-relay-steered: $(B)/bench/relay/steered.o $(ARCHIVES)
	$(call say,ld)$(LINK) $^ $(LIBS)

$(B)/bench-%: $(B)/bench/%.o $(ARCHIVES)
	$(call say,ld)$(LINK) $^ $(ORTP_LIBS) $(LIBS)

# The parser's benchmark, and the part of it that counts instructions and needs no other parsers.
PARSE_OURS := $(call objects,bench/parse/corpus.c bench/parse/ours.c)
PARSE_RIVALS := $(call objects,bench/parse/osip.c bench/parse/sofia.c)
PARSE_RIVAL_LIBS = $(shell pkg-config --libs libosip2 sofia-sip-ua)
$(B)/bench-parse: $(call objects,bench/parse/main.c bench/parse/write.c) $(PARSE_RIVALS) $(PARSE_OURS) $(PURE_LIB)
	$(call say,ld)$(LINK) -Wl,--version-script=bench/parse/hide.map $^ $(PARSE_RIVAL_LIBS)
$(B)/bench/parse/sofia.o: private CFLAGS_ALL += $(shell pkg-config --cflags sofia-sip-ua)
$(B)/parse-count: $(B)/bench/parse/count.o $(PARSE_OURS) $(PURE_LIB)
	$(call say,ld)$(LINK) $^

# One CUnit program a module: tests/unit/test_NAME.c with a main of its own. The phones have a dialog.c and a media.c
# too: who names a function of both means the product's.
$(B)/tests/%: $(B)/tests/unit/%.o $(ARCHIVES)
	@mkdir -p $(@D)
	$(call say,ld)$(LINK) $(filter %.o,$^) $(PURE_LIB) $(filter %.a,$^) $(ORTP_LIBS) $(LIBS) -lcunit
$(B)/tests/test_hist: $(B)/bench/call/hist.o
$(B)/tests/test_packet: $(B)/bench/call/packet.o
$(B)/tests/test_call_media: $(B)/bench/call/media.o $(B)/bench/call/packet.o

# The golden ladders' player: script and expected trace, virtual time.
$(B)/ladder: $(call objects,$(LADDER_SRC)) $(PURE_LIB)
	$(call say,ld)$(LINK) $^ $(LIBS)

# The simulator sees every look-up in the engine's tables, by the linker: the objects are everybody's.
SIM_WRAPS := leg_fsm_cell transfer_cell oa_step txn_run bridge_method bridge_headers
$(B)/sim: $(call objects,$(SIM_SRC)) $(PURE_LIB)
	$(call say,ld)$(LINK) $(addprefix -Wl$(comma)--wrap=,$(SIM_WRAPS)) $^ $(LIBS)

# Engines that die at every point of every flow.
$(B)/kill: $(call objects,$(KILL_SRC)) $(PURE_LIB)
	$(call say,ld)$(LINK) $^ $(LIBS) -lcunit

# Ours against the other parsers, on any bytes.
$(B)/fuzz/fuzz_sip_rivals: $(B)/tests/fuzz/fuzz_sip_rivals.o $(PARSE_RIVALS) $(PARSE_OURS) $(PURE_LIB)
	@mkdir -p $(@D)
	$(call say,ld)$(LINK) -fsanitize=fuzzer -Wl,--version-script=bench/parse/hide.map $^ $(PARSE_RIVAL_LIBS)

$(B)/fuzz/%: $(B)/tests/fuzz/%.o $(ARCHIVES)
	@mkdir -p $(@D)
	$(call say,ld)$(LINK) -fsanitize=fuzzer $^ $(ORTP_LIBS) $(LIBS)

# ---- running

demo: build/deps.build-demo
	@$(MAKE) --no-print-directory all
	$(B)/referee-demo --flow $(FLOW) --daemon $(B)/refereed

# In namespaces of its own, with or without root. FLOW=blind and so on: nobody is killed.
.PHONY: demo-cluster
demo-cluster: build/deps.build-demo-cluster
	@$(MAKE) --no-print-directory all
	@B=$(B) deploy/demo-cluster.sh --flow $(if $(filter-out attended,$(FLOW)),$(FLOW),death)

run: all
	$(B)/refereed -c deploy/refereed.yaml

SCENARIO ?= call
RATE ?= 1000
# All of it; or what was asked for.
CALL_ASKED := $(strip $(ARGS) $(filter-out file,$(origin SCENARIO)) $(filter-out file,$(origin RATE)))
CALL_TARGETS := $(addprefix --target ,direct referee kamailio referee kamailio referee-redis)
bench-call: build/deps.build-demo-bench
	@$(MAKE) --no-print-directory all
	$(if $(CALL_ASKED),$(B)/bench-call --daemon $(B)/refereed --scenario $(SCENARIO) --rate $(RATE) \
	    $(or $(ARGS),$(CALL_TARGETS)),@bench/call/all.sh $(B))

# Offered 0.5 to 3 times the capacity; the picture is in $(B)/bench-curve. TARGET=referee-redis: with records in Redis.
PHASE ?= 4
TARGET ?= referee
.PHONY: bench-curve
bench-curve: build/deps.build-demo-bench
	@$(MAKE) --no-print-directory all
	@bench/call/curve.sh $(B) $(PHASE) $(TARGET)

# Writes to Redis beside redis-benchmark, latency, bytes; ARGS='--takeover 1000000' for a node's death.
bench-store: build/deps.build-demo-test
	@$(MAKE) --no-print-directory all
	$(B)/bench-store $(ARGS)

bench-engine: build/deps.build-demo-bench $(B)/bench-engine
	bench/engine/instructions.sh $(B)/bench-engine $(SCENARIO)
	bench/engine/instructions.sh $(B)/bench-engine $(SCENARIO) records
	$(B)/bench-engine held 4000
	$(B)/bench-engine held 4000 phones
# Relays beside each other, as root: ARGS=--help.
SECTIONS ?= engine flood parse store relay call curve
.PHONY: bench bench-flood
bench: build/deps.build-demo-bench all
	@bench/report.sh $(B) $(SECTIONS)
bench-flood: $(B)/bench-flood
	$(B)/bench-flood

.PHONY: bench-relay
bench-relay: build/deps.build-demo-bench
	@$(MAKE) --no-print-directory all
	B=$(B) python3 bench/relay/run.py $(ARGS)

# One steered socket beside plain ones, as root: ARGS='PORTS RATE SECONDS PASSES'.
.PHONY: bench-relay-steered
bench-relay-steered: $(B)/bench-relay-steered
	$< $(ARGS)

# The program in the kernel alone, as root: what each of its features costs a packet. ROUNDS=n.
.PHONY: bench-relay-price
bench-relay-price: $(B)/bench-relay-price
	$< $(ROUNDS)

# ---- tests: each prints "NAME: N passed, N failed, N skipped"; tests/run.sh puts them in order and sums up

STAGES ?= build tidy unit parse-count engine-count ladders kill-matrix sim-smoke e2e fuzz-smoke compilers
test: build/deps.build-demo-test
	@MAKE='$(MAKE)' B=$(B) tests/run.sh $(STAGES)

# ... and every cell of the real kill matrix.
test-full: test
	@$(MAKE) --no-print-directory fuzz SECONDS=30
	@B=$(B) KILL=all E2E_LIMIT=600 tests/e2e/run.sh kill

tidy: lib
	@python3 tests/tidy.py --build $(B)
	@python3 tests/tidy_selftest.py
	@python3 tests/conformance.py --check
	@tests/sim/mutants.sh --check

# tests/CONFORMANCE.md: which test shows what.
conformance:
	@python3 tests/conformance.py

unit: $(UNIT_BIN)
	@tests/unit/run.sh $(B)/logs $(UNIT_BIN)

ladders: $(LADDER_BIN)
	@tests/ladder/run.sh $(B)/logs $(LADDER_BIN)

e2e: all
	@B=$(B) tests/e2e/run.sh

# Of `make e2e` the test that counts calls of the allocator, with as many calls as the goal says.
.PHONY: allocations
allocations: CALLS := 100000
allocations: all
	@B=$(B) CALLS=$(CALLS) E2E_LIMIT=1800 tests/e2e/run.sh allocations
	@grep 'allocator$$' $(B)/e2e/allocations/test.log

# Phones, network and engine in one process under virtual time. HOURS=n, SEED=n, HOT=1, MORTAL=1; NODES=1, mix, shards.
sim: $(SIM_BIN)
	$(SIM_BIN) $(if $(NODES),$(if $(filter mix shards,$(NODES)),--$(NODES),--nodes)) $(if $(HOT),--hot) \
	    $(if $(MORTAL),--mortal --faults) \
	    $(if $(SEED),--seed $(SEED) --count 1 --verbose,--seconds $(if $(HOURS),$$(($(HOURS) * 3600)),60) \
	    $(if $(filter-out mix,$(NODES))$(HOT)$(MORTAL),,--explained tests/sim/unreached.txt))

sim-smoke: $(SIM_BIN)
	@tests/sim/run.sh $(SIM_BIN) 30
sim-mutants:
	@tests/sim/mutants.sh build/mutants

# An engine dies before each message and each write of each flow (FLOW=replace/2-one-vip/17: one of the cells, told).
kill-matrix: $(KILL_BIN)
	@tests/kill/run.sh $(KILL_BIN) $(B)/logs $(if $(filter-out attended,$(FLOW)),--flow $(FLOW))

# RFC 4475 and RFC 5118, message by message.
torture: $(B)/tests/test_sip_torture
	@$< --table | sed -n 's/^ *\(ok\|FAIL\) /\1 /p'
# The parser's instructions a message: the gate in `make test`.
.PHONY: torture parse-count bench-parse bench-parse-run
parse-count: $(B)/parse-count
	@bench/parse/count.sh $(B)
# The engine's instructions a call: another.
.PHONY: engine-count
engine-count: $(B)/bench-engine
	@bench/engine/gate.sh $<
# The parser against others, and by each instruction set. ROUNDS=n.
bench-parse: build/deps.build-demo-test
	@$(MAKE) --no-print-directory bench-parse-run
bench-parse-run: $(B)/bench-parse parse-count
	@$(B)/bench-parse $(B)/parse-corpus $(ROUNDS)

programs-for-tests: $(UNIT_BIN) $(LADDER_BIN) $(SIM_BIN) $(KILL_BIN)

ASAN := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -DREFEREE_SLOW_CHECKS
# gcc's own advice: with -fsanitize=thread it takes initialized variables for uninitialized ones.
TSAN := -O1 -g -fsanitize=thread -fno-omit-frame-pointer -DREFEREE_SLOW_CHECKS -Wno-maybe-uninitialized
# All of them are five to fifteen times slower so.
asan tsan: export UNIT_LIMIT ?= 600
asan tsan: export E2E_LIMIT ?= 400
asan tsan: export LIMIT ?= 60
asan:
	@$(MAKE) --no-print-directory test B=build/asan JEMALLOC= OPT='$(ASAN)' STAGES='build unit ladders e2e'
tsan:
	@$(MAKE) --no-print-directory test B=build/tsan JEMALLOC= OPT='$(TSAN)' STAGES='build unit ladders e2e'
cov:
	@find build/cov -name '*.gcda' -delete 2>/dev/null || true
	@$(MAKE) --no-print-directory test B=build/cov JEMALLOC= OPT='-O0 -g --coverage' STAGES='build unit ladders e2e'
	gcovr --root . --object-directory build/cov --exclude tests/ --exclude bench/ --print-summary \
	    --html-details build/cov/index.html

fuzz: build/deps.build-demo-test
	@$(MAKE) --no-print-directory fuzz-run B=build/fuzz CC=clang OPT='$(ASAN) -fsanitize=fuzzer-no-link'
fuzz-smoke:
	@$(MAKE) --no-print-directory fuzz SECONDS=3
fuzz-run: $(FUZZ_BIN)
	@tests/fuzz/run.sh $(B) $(SECONDS) $(FUZZ_BIN)

# ---- packages, installation

# `deps` leaves no file, so that `sudo make deps` leaves none of root's. The name of a marker holds its sets, so that
# what is missing of all of them is asked for at once.
deps:
	@deploy/deps.sh build demo test
build/deps.%: deploy/packages deploy/deps.sh
	@deploy/deps.sh $(subst -, ,$*)
	@mkdir -p $(@D) && touch $@

BIN_DIR := $(DESTDIR)$(PREFIX)/bin
LIB_DIR := $(DESTDIR)$(PREFIX)/lib
ETC_DIR := $(DESTDIR)$(SYSCONFDIR)/referee
install: all
	install -d $(BIN_DIR) $(LIB_DIR)/systemd/system $(LIB_DIR)/sysusers.d $(ETC_DIR)
	install -m 755 $(B)/refereed $(B)/refereectl $(BIN_DIR)
	sed 's,@BIN@,$(PREFIX)/bin,; s,@ETC@,$(SYSCONFDIR)/referee,' deploy/refereed.service \
	    > $(LIB_DIR)/systemd/system/refereed.service
	install -m 644 deploy/sysusers.conf $(LIB_DIR)/sysusers.d/referee.conf
	test -e $(ETC_DIR)/refereed.yaml || install -m 640 deploy/refereed.yaml $(ETC_DIR)

clean:
	rm -rf build

.SECONDARY:
-include $(shell find $(B) -name '*.d' 2>/dev/null)
