# SPDX-License-Identifier: AGPL-3.0-or-later
# make all | test | tidy | asan | ... ; B=build/NAME keeps builds with other flags apart.
CC ?= gcc
B ?= build/$(notdir $(CC))
OPT ?= -O2 -g
WARN := -Wall -Wextra -Wpedantic -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith
CFLAGS_ALL = -std=gnu17 $(WARN) $(OPT) -I. -MMD -MP $(CFLAGS)

# The pure objects: no system call, no clock, no thread, no heap.
PURE_DIRS := core/base parser core/sip core/b2b rtp store
PURE_SRC := $(sort $(wildcard $(addsuffix /*.c,$(PURE_DIRS))))
PURE_LIB := $(B)/libreferee.a
PURE_LIBS := -lnettle

RUNTIME_SRC := $(sort $(wildcard core/runtime/*.c))
RUNTIME_LIBS := -luring -lcyaml -lyaml -ljemalloc -lpthread

UNIT_SRC := $(sort $(wildcard tests/unit/test_*.c))
UNIT_BIN := $(patsubst tests/unit/%.c,$(B)/tests/%,$(UNIT_SRC))

.PHONY: all lib unit clean
all: lib

lib: $(PURE_LIB)

$(PURE_LIB): $(patsubst %.c,$(B)/%.o,$(PURE_SRC))
	@rm -f $@
	ar rcs $@ $^

$(B)/%.o: %.c
	@mkdir -p $(dir $@)
	$(CC) $(CFLAGS_ALL) -c -o $@ $<

# One CUnit program a module: tests/unit/test_NAME.c with a main of its own.
$(B)/tests/%: $(B)/tests/unit/%.o $(PURE_LIB)
	@mkdir -p $(dir $@)
	$(CC) $(OPT) $(CFLAGS) -o $@ $< $(PURE_LIB) $(LDFLAGS) $(PURE_LIBS) -lcunit

unit: $(UNIT_BIN)
	@set -e; for t in $(UNIT_BIN); do echo "== $$t"; $$t; done

clean:
	rm -rf build

.SECONDARY:
-include $(shell find $(B) -name '*.d' 2>/dev/null)
