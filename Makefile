# SPDX-License-Identifier: MIT
#
#   make            build tgswitchd, tgswitchctl and tgswitch-exec
#   make check      install what the tests need, run every tier, close with "N passed, N failed"
#   make check-sim  SEEDS=1000 runs of the daemon in a simulated world; a seed that breaks a law is printed
#   make messages   every message that tells somebody what is wrong, and which test of the last run provoked it
#   make screens    the screens in the documentation, written anew by a real run
#   make check-window   the ten minutes after logOut, unscaled; takes eleven
#   make check-mutants
#                   put deliberate mistakes into a copy of the code, one at a time: a test has to notice each;
#                   MUTANTS=unit/ only those for tests of that name
#   make fuzz       TIME=60 seconds of each fuzzer (FUZZ="record config": of these), from the corpus and what earlier runs
#                   found; closes with a table of executions and coverage
#   make bench      measure downtime, overhead, size, many bots and the bus; tables into README.md and
#                   packaging/doc/bench.md; wants a machine with nothing else to do, for the better part of an hour
#   make demo       move a bot from the cloud to the local server on a scratch host and show what happened
#   make lint       what can be said without running: format, layers, three analysers of C, shell scripts
#   make install    into DESTDIR, below PREFIX; files in SYSCONFDIR that are there already stay as they are
#   make deb, rpm   the packages, in BUILDROOT/deb and BUILDROOT/rpm

VERSION     := 0.1
CONFIG      ?= release
BUILDROOT   ?= build
SEEDS       ?= 1000
TIME        ?= 60
BUILD       := $(BUILDROOT)/$(CONFIG)

PREFIX      ?= /usr
SYSCONFDIR  ?= /etc
UNITDIR     ?= $(PREFIX)/lib/systemd/system
PRESETDIR   ?= $(UNITDIR)-preset
# Where Debian's zsh looks; others take $(PREFIX)/share/zsh/site-functions.
ZSHDIR      ?= $(PREFIX)/share/zsh/vendor-completions

PACKAGES       := libsystemd libcurl json-c inih zlib
TEST_PACKAGES  := cmocka libmicrohttpd openssl

# Asked once and only when something is compiled: before `make deps` there may be no pkg-config.
lazily       = $(eval $(1) := $$(shell $(2)))$($(1))
PKG_CFLAGS   = $(call lazily,PKG_CFLAGS,pkg-config --cflags $(PACKAGES))
PKG_LIBS     = $(call lazily,PKG_LIBS,pkg-config --libs $(PACKAGES))
TEST_LIBS    = $(call lazily,TEST_LIBS,pkg-config --libs $(TEST_PACKAGES))

WARNINGS := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
            -Wwrite-strings -Wundef -Wvla -Wformat=2 -Wno-unused-parameter -Wno-missing-field-initializers
CPPFLAGS_ALL = -D_GNU_SOURCE -DVERSION='"$(VERSION)"' -Idaemon $(PKG_CFLAGS) $(CPPFLAGS)
CFLAGS_ALL   = -std=gnu17 -g -fno-omit-frame-pointer -fstack-protector-strong $(WARNINGS) $(CONFIG_CFLAGS) $(CFLAGS)
LDLIBS_ALL   = $(PKG_LIBS) -lpthread

# What protects the programs that run with tokens; tests/packaging/test-hardening.sh looks for each of it in them. The
# flags of a distribution come later on the command line and win. But the macro cannot be defined twice: theirs stands.
# Which of the two branch protections there is depends on the processor.
BRANCH_CFLAGS     = $(call lazily,BRANCH_CFLAGS,for f in -fcf-protection=full -mbranch-protection=standard; do \
                    $(CC) -Werror $$$$f -c -x c -o /dev/null /dev/null 2>/dev/null && echo $$$$f; done)
HARDENING_CFLAGS  = -fPIE -fstack-clash-protection $(BRANCH_CFLAGS) \
                    $(if $(findstring _FORTIFY_SOURCE,$(CPPFLAGS) $(CFLAGS)),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
HARDENING_LDFLAGS = -pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,text,-z,separate-code

ifeq ($(CONFIG),release)
CONFIG_CFLAGS  = -O2 $(HARDENING_CFLAGS)
LDFLAGS_ALL    = $(HARDENING_LDFLAGS) $(LDFLAGS)
else ifeq ($(CONFIG),asan)
# What gcc does itself of snprintf(), tests/messages does not hear of.
CONFIG_CFLAGS := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-builtin-snprintf
LDFLAGS_ALL    = -fsanitize=address,undefined $(LDFLAGS)
else ifeq ($(CONFIG),clang)
CC            := clang
CONFIG_CFLAGS := -O2
LDFLAGS_ALL    = $(LDFLAGS)
else ifeq ($(CONFIG),analyzer)
# gcc's analyzer, whose findings are errors. It loses memory that is stored through an index, so for leaks there is
# LeakSanitizer; with optimisation it takes the variables of _cleanup_ for uninitialised.
CONFIG_CFLAGS := -O0 -fanalyzer -Wno-analyzer-malloc-leak
LDFLAGS_ALL    = $(LDFLAGS)
else ifeq ($(CONFIG),fuzz)
# libFuzzer's main() in the fuzzers, its instrumentation in everything.
CC            := clang
CONFIG_CFLAGS := -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
LDFLAGS_ALL    = -fsanitize=address,undefined $(LDFLAGS)
FUZZ_ENGINE   := -fsanitize=fuzzer
else ifeq ($(CONFIG),coverage)
# Clang's source-based coverage, for tests/fuzz/coverage.
CC            := clang
CONFIG_CFLAGS := -O1 -fprofile-instr-generate -fcoverage-mapping
LDFLAGS_ALL    = -fprofile-instr-generate $(LDFLAGS)
else
$(error CONFIG is release, asan, clang, analyzer, fuzz or coverage)
endif

LIB_SOURCES  := $(sort $(wildcard daemon/base/*.c daemon/core/*.c daemon/io/*.c daemon/manager/*.c daemon/bus/*.c))
CTL_SOURCES  := $(sort $(wildcard daemon/ctl/*.c))
# cmocka tests, and the rest of tests/DIR/*.c which several of them share.
TEST_SOURCES := $(sort $(wildcard tests/unit/test-*.c tests/adapter/test-*.c tests/simulation/test-*.c))
TEST_SHARED  := $(sort $(filter-out $(TEST_SOURCES),$(wildcard tests/unit/*.c tests/adapter/*.c)))
# The manager and the core with what stands in for io/ and for the files of base/ that reach outside.
SIMULATION_SOURCES := $(sort $(wildcard tests/simulation/*.c daemon/core/*.c daemon/manager/*.c)) \
                      daemon/base/strv.c daemon/base/utf8.c
# The two roles of the simulated Telegram differ in their main() alone.
TELEGRAM_MAINS  := tests/telegram/telegram-sim.c tests/telegram/telegram-bot-api.c
TELEGRAM_SHARED := $(sort $(filter-out $(TELEGRAM_MAINS),$(wildcard tests/telegram/*.c)))

objects       = $(patsubst %.c,$(BUILD)/%.o,$(1))
programs      = $(patsubst %.c,$(BUILD)/%,$(1))
TEST_BINARIES     := $(call programs,$(TEST_SOURCES))
TELEGRAM_BINARIES := $(call programs,$(wildcard $(TELEGRAM_MAINS)))
WORKER_BINARIES   := $(call programs,$(wildcard tests/worker/worker.c))
WORKER_SHARED     := $(sort $(filter-out tests/worker/worker.c,$(wildcard tests/worker/*.c)))
SIMULATION        := $(BUILD)/tests/simulation/simulate
FUZZERS           := $(call programs,$(sort $(wildcard tests/fuzz/fuzz-*.c)))
# Without libFuzzer a main() that runs the files of the corpus.
FUZZ_ENGINE       ?= $(BUILD)/tests/fuzz/replay.o
# Loaded into the daemon of a scratch host.
FAULT_LIBRARY     := $(BUILD)/tests/host/fault-preload.so
# Loaded into every program of a scratch host, and what looks for tokens there afterwards.
CANARY_PROGRAMS   := $(BUILD)/tests/host/canary-find $(BUILD)/tests/host/canary-plant
CANARY            := $(BUILD)/tests/host/canary-preload.so $(CANARY_PROGRAMS)
MEMORY_SEARCH     := $(BUILD)/tests/host/memory-search
# Tells which messages the programs bring out in tests, and what reads the sources for all there are.
MESSAGES_LIBRARY  := $(BUILD)/tests/messages/record-preload.so
MESSAGES_EXTRACT  := $(BUILD)/tests/messages/extract
# Tells when the daemon of a scratch host reads, writes and waits for its disk.
STAMP_LIBRARY     := $(BUILD)/tests/bench/stamp-preload.so
# What measures, and what it is measured against.
BENCH_SOURCES     := $(filter-out %-preload.c,$(wildcard tests/bench/*.c))
BENCH_PROGRAMS    := $(call programs,$(BENCH_SOURCES)) $(STAMP_LIBRARY)
# Tries in a scratch host what somebody may do there.
MATRIX_PROBE      := $(BUILD)/tests/host/matrix-probe

BINARIES := $(if $(wildcard daemon/main.c),$(BUILD)/tgswitchd) $(if $(CTL_SOURCES),$(BUILD)/tgswitchctl) \
            $(if $(wildcard daemon/exec/tgswitch-exec.c),$(BUILD)/tgswitch-exec)
MANPAGES := $(patsubst packaging/man/%.scd,$(BUILD)/man/%,$(wildcard packaging/man/*.scd))
INTERFACES := $(foreach i,Manager Bot Job,$(BUILD)/dbus/org.tgswitch1.$(i).xml)

.PHONY: all tests fuzzers man check messages check-sim check-window check-mutants fuzz demo bench bench-programs screens lint tidy install uninstall clean deps
all: $(if $(filter fuzz coverage,$(CONFIG)),$(FUZZERS),$(BINARIES) $(INTERFACES))

tests: all $(TEST_BINARIES) $(TELEGRAM_BINARIES) $(WORKER_BINARIES) $(FAULT_LIBRARY) $(MEMORY_SEARCH) $(MATRIX_PROBE) \
       $(CANARY) $(MESSAGES_LIBRARY) $(MESSAGES_EXTRACT) $(SIMULATION) $(FUZZERS)

fuzzers: $(FUZZERS)

man: $(MANPAGES)

$(BUILD)/libtgswitch.a: $(call objects,$(LIB_SOURCES))
	@mkdir -p $(@D)
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/tgswitchd: $(BUILD)/daemon/main.o $(BUILD)/daemon/wiping-free.o $(BUILD)/libtgswitch.a
	$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LDLIBS_ALL)

$(BUILD)/tgswitchctl: $(call objects,$(CTL_SOURCES)) $(BUILD)/libtgswitch.a
	$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LDLIBS_ALL)

# In front of a worker's program, so without the libraries: libc alone is there in every sandbox.
$(BUILD)/tgswitch-exec: $(BUILD)/daemon/exec/tgswitch-exec.o $(BUILD)/libtgswitch.a
	$(CC) $(LDFLAGS_ALL) -o $@ $^

# The tables of the bus, as the daemon would describe them.
$(BUILD)/introspect: $(BUILD)/daemon/introspect.o $(BUILD)/libtgswitch.a
	$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LDLIBS_ALL)

$(INTERFACES): $(BUILD)/dbus/%.xml: $(BUILD)/introspect
	@mkdir -p $(@D)
	$< $* >$@.new
	mv $@.new $@

# An archive, so that a test gets the helpers it uses and no others.
$(BUILD)/libtests.a: $(call objects,$(TEST_SHARED))
	@mkdir -p $(@D)
	@rm -f $@
	$(AR) rcs $@ $^

$(TEST_BINARIES): $(BUILD)/tests/%: $(BUILD)/tests/%.o $(BUILD)/libtests.a $(BUILD)/libtgswitch.a
	$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LDLIBS_ALL) $(TEST_LIBS)

# The daemon's alone: in an archive it would be everybody's.
$(BUILD)/tests/adapter/test-wiping-free: $(BUILD)/daemon/wiping-free.o

$(TELEGRAM_BINARIES) $(WORKER_BINARIES): $(BUILD)/tests/%: $(BUILD)/tests/%.o
	$(CC) $(LDFLAGS_ALL) -o $@ $^ -lmicrohttpd $(LDLIBS_ALL)

$(TELEGRAM_BINARIES): $(call objects,$(TELEGRAM_SHARED))

$(WORKER_BINARIES): $(call objects,$(WORKER_SHARED))

$(SIMULATION): $(call objects,$(SIMULATION_SOURCES))
	$(CC) $(LDFLAGS_ALL) -Wl,--wrap=cutover_step -o $@ $^ $(PKG_LIBS)

$(FUZZERS): $(BUILD)/tests/fuzz/%: $(BUILD)/tests/fuzz/%.o $(BUILD)/tests/fuzz/fuzz.o $(BUILD)/libtgswitch.a \
            $(filter %.o,$(FUZZ_ENGINE))
	$(CC) $(LDFLAGS_ALL) -o $@ $(filter %.o,$^) $(filter-out %.o,$(FUZZ_ENGINE)) $(BUILD)/libtgswitch.a $(LDLIBS_ALL)

# Without a sanitizer, which needs more of /proc than the sandbox of a worker may have.
$(MATRIX_PROBE): tests/host/matrix-probe.c daemon/base/macro.h
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) -std=gnu17 -g -O2 $(WARNINGS) $(CFLAGS) -o $@ $< $(PKG_LIBS)

$(MEMORY_SEARCH): $(BUILD)/tests/host/memory-search.o
	$(CC) $(LDFLAGS_ALL) -o $@ $^

# Without a sanitizer, whose library would have to be the first in the process.
$(FAULT_LIBRARY): tests/host/fault-preload.c daemon/base/macro.h
$(BUILD)/tests/host/canary-preload.so: tests/host/canary-preload.c tests/canary.h daemon/base/macro.h
$(MESSAGES_LIBRARY): tests/messages/record-preload.c daemon/base/macro.h
$(STAMP_LIBRARY): tests/bench/stamp-preload.c daemon/base/macro.h
$(FAULT_LIBRARY) $(BUILD)/tests/host/canary-preload.so $(MESSAGES_LIBRARY) $(STAMP_LIBRARY):
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) -std=gnu17 -g -O2 -fPIC $(WARNINGS) $(CFLAGS) -shared -o $@ $< -lpthread

$(CANARY_PROGRAMS) $(MESSAGES_EXTRACT): $(BUILD)/tests/%: $(BUILD)/tests/%.o
	$(CC) $(LDFLAGS_ALL) -o $@ $^

# The literals of a source, for tests/messages/list.
$(BUILD)/%.texts: %.c $(MESSAGES_EXTRACT)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) -std=gnu17 -MMD -MP -MT $@ -MF $@.d -E -o $@.i $<
	$(MESSAGES_EXTRACT) <$@.i >$@.new && mv $@.new $@ && rm $@.i

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

# Each file by itself: among several, clang-tidy 14 takes every va_list for uninitialised. The bound keeps the few
# functions in which its analyzer finds no end from taking minutes.
$(BUILD)/%.tidy: %.c .clang-tidy tests/.clang-tidy
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) -MM -MP -MT $@ -MF $@.d $<
	clang-tidy --quiet $< -- -std=gnu17 $(CPPFLAGS_ALL) -Xclang -analyzer-config -Xclang max-nodes=30000 2>/dev/null
	@touch $@

tidy: $(patsubst %.c,$(BUILD)/%.tidy,$(sort $(shell find daemon tests -name '*.c')))

$(BUILD)/man/%: packaging/man/%.scd
	@mkdir -p $(@D)
	scdoc <$< >$@

deps:
	@BUILDROOT=$(BUILDROOT) tests/install-deps

# The scripts call make themselves, once for each CONFIG, so nothing of this one's flags goes down to them.
check: deps
	@MAKEFLAGS= BUILDROOT=$(BUILDROOT) tests/run

messages:
	@MAKEFLAGS= BUILDROOT=$(BUILDROOT) tests/messages/report

check-sim: $(SIMULATION)
	$(SIMULATION) --corpus=tests/simulation/corpus --seeds=$(SEEDS) --jobs=$(shell nproc) --coverage

check-window: deps
	@MAKEFLAGS= BUILDROOT=$(BUILDROOT) tests/host/check-window

check-mutants: deps
	@MAKEFLAGS= BUILDROOT=$(BUILDROOT) tests/mutants/run $(MUTANTS)

fuzz: deps
	@MAKEFLAGS= BUILDROOT=$(BUILDROOT) tests/fuzz/run $(TIME) $(FUZZ)

demo: deps
	@MAKEFLAGS= BUILDROOT=$(BUILDROOT) tests/host/demo

# Figures, not tests: tests/bench/*.sh say what each of them measures, tests/bench/tables what becomes of it.
bench: deps
	@MAKEFLAGS= make -s -k -j"$$(nproc)" BUILDROOT=$(BUILDROOT) CONFIG=release tests man bench-programs
	@MAKEFLAGS= BUILDROOT=$(BUILDROOT) tests/bench/run

bench-programs: $(BENCH_PROGRAMS)

$(call programs,$(BENCH_SOURCES)): $(BUILD)/tests/bench/%: $(BUILD)/tests/bench/%.o
	$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LDLIBS_ALL)

screens: deps
	@MAKEFLAGS= BUILDROOT=$(BUILDROOT) tests/host/screens

lint:
	@MAKEFLAGS= BUILDROOT=$(BUILDROOT) tests/run-lint

# Programs and units name each other by absolute paths, written for the default PREFIX and SYSCONFDIR.
relocate = sed -e 's|/usr/bin/tgswitch|$(PREFIX)/bin/tgswitch|g' -e 's|/usr/libexec/tgswitch|$(PREFIX)/libexec/tgswitch|g' \
               -e 's|/etc/tgswitch|$(SYSCONFDIR)/tgswitch|g'

UNITS := $(notdir $(wildcard units/*.service units/*.socket units/*.timer))
SCHEMAS := $(wildcard packaging/schema/*.json)
# What is installed and belongs to nobody but us; the administrator's files below SYSCONFDIR are not among them.
INSTALLED = $(PREFIX)/libexec/tgswitch/tgswitchd $(PREFIX)/libexec/tgswitch/tgswitch-exec $(PREFIX)/bin/tgswitchctl \
            $(addprefix $(UNITDIR)/,$(UNITS)) \
            $(PREFIX)/lib/sysusers.d/tgswitch.conf $(PREFIX)/lib/tmpfiles.d/tgswitch.conf \
            $(PREFIX)/lib/systemd/catalog/tgswitch.catalog \
            $(PRESETDIR)/90-tgswitch.preset \
            $(PREFIX)/share/dbus-1/system.d/org.tgswitch1.conf \
            $(PREFIX)/share/dbus-1/system-services/org.tgswitch1.service \
            $(PREFIX)/share/polkit-1/actions/org.tgswitch1.policy \
            $(PREFIX)/share/polkit-1/rules.d/50-org.tgswitch1.rules \
            $(addprefix $(PREFIX)/share/dbus-1/interfaces/,$(notdir $(INTERFACES))) \
            $(addprefix $(PREFIX)/share/tgswitch/schema/,$(notdir $(SCHEMAS))) \
            $(PREFIX)/share/tgswitch/prometheus/tgswitch.rules.yml \
            $(PREFIX)/share/bash-completion/completions/tgswitchctl $(ZSHDIR)/_tgswitchctl \
            $(foreach m,$(notdir $(MANPAGES)),$(PREFIX)/share/man/man$(subst .,,$(suffix $(m)))/$(m))

install: all man
	install -d $(DESTDIR)$(UNITDIR) $(DESTDIR)$(PREFIX)/share/doc/tgswitch
	$(if $(filter %/tgswitchd,$(BINARIES)),install -D -m 755 $(BUILD)/tgswitchd $(DESTDIR)$(PREFIX)/libexec/tgswitch/tgswitchd)
	$(if $(filter %/tgswitch-exec,$(BINARIES)),install -D -m 755 $(BUILD)/tgswitch-exec $(DESTDIR)$(PREFIX)/libexec/tgswitch/tgswitch-exec)
	$(if $(filter %/tgswitchctl,$(BINARIES)),install -D -m 755 $(BUILD)/tgswitchctl $(DESTDIR)$(PREFIX)/bin/tgswitchctl)
	set -e; for u in $(UNITS); do $(relocate) units/$$u | install -m 644 /dev/stdin $(DESTDIR)$(UNITDIR)/$$u; done
	install -D -m 644 units/tgswitch.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/tgswitch.conf
	install -D -m 644 units/tgswitch.preset $(DESTDIR)$(PRESETDIR)/90-tgswitch.preset
	$(relocate) units/tgswitch.tmpfiles | install -D -m 644 /dev/stdin $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/tgswitch.conf
	install -D -m 644 packaging/catalog/tgswitch.catalog $(DESTDIR)$(PREFIX)/lib/systemd/catalog/tgswitch.catalog
	install -D -m 644 conf/org.tgswitch1.conf $(DESTDIR)$(PREFIX)/share/dbus-1/system.d/org.tgswitch1.conf
	install -D -m 644 conf/org.tgswitch1.service $(DESTDIR)$(PREFIX)/share/dbus-1/system-services/org.tgswitch1.service
	install -D -m 644 conf/org.tgswitch1.policy $(DESTDIR)$(PREFIX)/share/polkit-1/actions/org.tgswitch1.policy
	install -D -m 644 conf/org.tgswitch1.rules $(DESTDIR)$(PREFIX)/share/polkit-1/rules.d/50-org.tgswitch1.rules
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/dbus-1/interfaces $(INTERFACES)
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/tgswitch/schema $(SCHEMAS)
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/tgswitch/prometheus packaging/prometheus/tgswitch.rules.yml
	install -D -m 644 packaging/completion/bash/tgswitchctl $(DESTDIR)$(PREFIX)/share/bash-completion/completions/tgswitchctl
	install -D -m 644 packaging/completion/zsh/_tgswitchctl $(DESTDIR)$(ZSHDIR)/_tgswitchctl
	install -d $(DESTDIR)$(SYSCONFDIR)/tgswitch/bots.d $(DESTDIR)$(SYSCONFDIR)/tgswitch/tgswitch.conf.d
	install -d -m 700 $(addprefix $(DESTDIR)$(SYSCONFDIR)/tgswitch/,tokens tokens.encrypted secrets secrets.encrypted)
	install -d $(DESTDIR)$(SYSCONFDIR)/tgswitch/certificates
	set -e; for f in $(wildcard conf/tgswitch.conf conf/bots.d/*); do \
		t=$(DESTDIR)$(SYSCONFDIR)/tgswitch/$${f#conf/}; test -e $$t || install -m 644 $$f $$t; done
	install -m 644 $(wildcard README.md LICENSE) units/worker-drop-in.conf.example $(DESTDIR)$(PREFIX)/share/doc/tgswitch
	set -e; for m in $(notdir $(MANPAGES)); do \
		install -D -m 644 $(BUILD)/man/$$m $(DESTDIR)$(PREFIX)/share/man/man$${m##*.}/$$m; done

# Packages are built from a copy of the sources, since their tools write beside them, and with nothing from outside but
# what the tools say themselves. Each time that something was changed.
PACKAGE_SOURCES := $(wildcard LICENSE Makefile README.md conf daemon packaging tests units)
PACKAGE_FILES   := $(shell find $(filter-out tests,$(PACKAGE_SOURCES)) -type f)
package_tree     = rm -rf $(1) && mkdir -p $(1)/tgswitch-$(VERSION) && cp -a $(PACKAGE_SOURCES) $(1)/tgswitch-$(VERSION)
package_env     := env $(addprefix -u ,BUILDROOT CONFIG CFLAGS CPPFLAGS LDFLAGS DESTDIR MAKEFLAGS MAKELEVEL MFLAGS)
RPMBUILD_OPTIONS ?=

.PHONY: deb rpm
deb: $(BUILDROOT)/deb/built
rpm: $(BUILDROOT)/rpm/built

$(BUILDROOT)/deb/built: $(PACKAGE_FILES)
	$(call package_tree,$(@D))
	mv $(@D)/tgswitch-$(VERSION)/packaging/debian $(@D)/tgswitch-$(VERSION)/debian
	cd $(@D)/tgswitch-$(VERSION) && $(package_env) dpkg-buildpackage -b -us -uc -jauto
	touch $@

# Debian's rpmbuild does not know what apt has installed.
$(BUILDROOT)/rpm/built: $(PACKAGE_FILES)
	$(call package_tree,$(@D))
	tar -C $(@D) -czf $(@D)/tgswitch-$(VERSION).tar.gz tgswitch-$(VERSION)
	$(package_env) rpmbuild -bb --define '_topdir $(abspath $(@D))' --define '_sourcedir %{_topdir}' \
		--define '_dbpath %{_topdir}/db' $(if $(wildcard /etc/debian_version),--nodeps) $(RPMBUILD_OPTIONS) \
		packaging/rpm/tgswitch.spec
	touch $@

uninstall:
	rm -f $(addprefix $(DESTDIR),$(INSTALLED))
	rm -rf $(DESTDIR)$(PREFIX)/share/doc/tgswitch
	-rmdir $(DESTDIR)$(PREFIX)/libexec/tgswitch $(addprefix $(DESTDIR)$(PREFIX)/share/tgswitch,/schema /prometheus) \
		$(DESTDIR)$(PREFIX)/share/tgswitch

clean:
	rm -rf $(BUILDROOT)

.SECONDARY:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
