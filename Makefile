# SPDX-License-Identifier: MIT
#
#   make            build tgswitchd and tgswitchctl
#   make check      install what the tests need, run every tier, close with "N passed, N failed"
#   make demo       move a bot from the cloud to the local server on a scratch host and show what happened
#   make lint       format, static analysis, shell scripts, units
#   make install    into DESTDIR, below PREFIX

VERSION     := 0.1
CONFIG      ?= release
BUILD       := build/$(CONFIG)

PREFIX      ?= /usr
SYSCONFDIR  ?= /etc

PACKAGES       := libsystemd libcurl json-c inih zlib
TEST_PACKAGES  := cmocka libmicrohttpd openssl

WARNINGS := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
            -Wwrite-strings -Wundef -Wvla -Wformat=2 -Wno-unused-parameter -Wno-missing-field-initializers
CPPFLAGS_ALL = -D_GNU_SOURCE -DVERSION='"$(VERSION)"' -Idaemon $(shell pkg-config --cflags $(PACKAGES)) $(CPPFLAGS)
CFLAGS_ALL   = -std=gnu17 -g -fno-omit-frame-pointer -fstack-protector-strong $(WARNINGS) $(CONFIG_CFLAGS) $(CFLAGS)
LDLIBS_ALL   = $(shell pkg-config --libs $(PACKAGES)) -lpthread

ifeq ($(CONFIG),release)
CONFIG_CFLAGS := -O2 -D_FORTIFY_SOURCE=2 -fPIE
LDFLAGS_ALL    = -pie -Wl,-z,relro,-z,now $(LDFLAGS)
else ifeq ($(CONFIG),asan)
CONFIG_CFLAGS := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all
LDFLAGS_ALL    = -fsanitize=address,undefined $(LDFLAGS)
else ifeq ($(CONFIG),clang)
CC            := clang
CONFIG_CFLAGS := -O2
LDFLAGS_ALL    = $(LDFLAGS)
else
$(error CONFIG is release, asan or clang)
endif

LIB_SOURCES  := $(sort $(wildcard daemon/base/*.c daemon/core/*.c daemon/io/*.c daemon/manager/*.c daemon/bus/*.c))
CTL_SOURCES  := $(sort $(wildcard daemon/ctl/*.c))
SIM_SOURCES  := $(sort $(wildcard tests/telegram/*.c))
UNIT_TESTS   := $(sort $(wildcard tests/unit/test-*.c tests/adapter/test-*.c))
# Every program of the tests that is not a test by itself stands alone in one file.
TEST_PROGRAMS := $(sort $(wildcard tests/worker/*.c))

objects       = $(patsubst %.c,$(BUILD)/%.o,$(1))
TEST_BINARIES := $(patsubst %.c,$(BUILD)/%,$(UNIT_TESTS))

.PHONY: all tests clean
all: $(BUILD)/tgswitchd $(BUILD)/tgswitchctl

tests: all $(TEST_BINARIES) $(patsubst %.c,$(BUILD)/%,$(TEST_PROGRAMS))

$(BUILD)/libtgswitch.a: $(call objects,$(LIB_SOURCES))
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/tgswitchd: $(BUILD)/daemon/main.o $(BUILD)/libtgswitch.a
	$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LDLIBS_ALL)

$(BUILD)/tgswitchctl: $(call objects,$(CTL_SOURCES)) $(BUILD)/libtgswitch.a
	$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LDLIBS_ALL)

$(BUILD)/tests/%: $(BUILD)/tests/%.o $(BUILD)/libtgswitch.a
	$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LDLIBS_ALL) $(shell pkg-config --libs $(TEST_PACKAGES))

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

clean:
	rm -rf build

.SECONDARY:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
