# SPDX-License-Identifier: MIT
# One non-recursive makefile. A variant (SANITIZE=…, CC=clang) builds in a
# folder of its own, so that switching between them rebuilds nothing.

# V=1 shows the commands.
V ?=
Q := $(if $(V),,@)

VERSION  := $(shell cat VERSION)
PREFIX   ?= /usr/local
BINDIR   ?= $(PREFIX)/bin
MANDIR   ?= $(PREFIX)/share/man
DOCDIR   ?= $(PREFIX)/share/doc/flakehub
UNITDIR  ?= $(PREFIX)/lib/systemd/system
USERSDIR ?= $(PREFIX)/lib/sysusers.d
SANITIZE ?=
COVERAGE ?=

comma    := ,
variant  := $(if $(SANITIZE),-$(subst $(comma),-,$(SANITIZE)))$(if \
	$(filter clang%,$(notdir $(CC))),-clang)$(if $(COVERAGE),-coverage)
BUILD    ?= build$(variant)

PACKAGES := json-c libarchive libcrypto libzstd libdeflate liblzma libpcre2-8 \
	zlib
PKG_CONFIG ?= pkg-config

OPTIMIZE ?= $(if $(SANITIZE),-O1 -fno-omit-frame-pointer,$(if \
	$(COVERAGE),-O0,-O2))
WARNINGS := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes \
	-Wmissing-prototypes -Wold-style-definition -Wpointer-arith \
	-Wcast-qual -Wwrite-strings -Wundef -Wformat=2 -Wvla \
	-Wnull-dereference -Wimplicit-fallthrough -Wno-unused-parameter \
	$(if $(SANITIZE),-Wno-null-dereference) \
	$(if $(filter clang%,$(notdir $(CC))),,$(if \
		$(SANITIZE)$(COVERAGE),-Wno-format-truncation))
HARDEN   := -fPIE -fstack-protector-strong $(if \
	$(SANITIZE)$(COVERAGE),,-D_FORTIFY_SOURCE=2)

ALL_CFLAGS := -std=gnu17 -g $(OPTIMIZE) $(WARNINGS) $(HARDEN) -pthread \
	-D_GNU_SOURCE -DFLAKEHUB_VERSION='"$(VERSION)"' -I. \
	$(shell $(PKG_CONFIG) --cflags $(PACKAGES)) \
	$(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all) \
	$(if $(COVERAGE),--coverage -DCOVERAGE) $(CFLAGS)
ALL_LDFLAGS := -pie -Wl,-z,relro,-z,now -pthread \
	$(if $(SANITIZE),-fsanitize=$(SANITIZE)) \
	$(if $(COVERAGE),--coverage) $(LDFLAGS)
LIBS      := $(shell $(PKG_CONFIG) --libs $(PACKAGES)) -lm
FCGI_LIBS := -lfcgi -lseccomp
TEST_LIBS := -lcmocka

common_c  := $(wildcard common/*.c)
fcgi_c    := $(wildcard fcgi/*.c)
cli_c     := $(wildcard cli/*.c)
test_c    := $(wildcard tests/unit/test_*.c)
# What the unit programs share, and fcgi's modules but its main().
testlib_c := $(filter-out $(test_c),$(wildcard tests/unit/*.c))
fcgilib_c := $(filter-out fcgi/main.c,$(fcgi_c))
# Preloaded by tests, which compile it.
shim      := $(wildcard tests/torture/*.[ch])
# A fuzz target each, and what they share; run.c makes a test of one.
fuzz_c    := $(wildcard tests/fuzz/fuzz_*.c)
fuzzlib_c := tests/fuzz/fuzz.c tests/fuzz/fakestore.c
headers   := $(wildcard common/*.h fcgi/*.h cli/*.h tests/unit/*.h \
	tests/fuzz/*.h)
manuals   := $(wildcard man/*.[1-9])
bench_c   := $(wildcard bench/*.c)
sources   := $(common_c) $(fcgi_c) $(cli_c) $(test_c) $(testlib_c) \
	$(bench_c) $(fuzz_c) $(fuzzlib_c) tests/fuzz/run.c

obj = $(patsubst %.c,$(BUILD)/%.o,$(1))
common_a := $(BUILD)/common.a
benches  := $(patsubst bench/%.c,$(BUILD)/bench/%,$(bench_c))
units    := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(test_c)) \
	$(patsubst tests/fuzz/%.c,$(BUILD)/unit/%,$(fuzz_c))
fuzzers  := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(fuzz_c))
programs := $(if $(filter cli/main.c,$(cli_c)),$(BUILD)/flakehub) \
	$(if $(filter fcgi/main.c,$(fcgi_c)),$(BUILD)/flakehub.fcgi)

PYTHON ?= /usr/bin/python3

.PHONY: all analyze bench bench-plan check check-cpu check-headers clean \
	coverage format format-check fuzz fuzzers install lint tidy torture \
	valgrind valgrind-fast valgrind-system FORCE
.DELETE_ON_ERROR:
all: $(programs) $(common_a)

$(BUILD)/flakehub: $(call obj,$(cli_c)) $(common_a)
	@echo "  $@"
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)
$(BUILD)/flakehub.fcgi: $(call obj,$(fcgi_c)) $(common_a)
	@echo "  $@"
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(FCGI_LIBS) $(LIBS)
$(common_a): $(call obj,$(common_c))
	$(Q)rm -f $@ && $(AR) rcs $@ $^
$(BUILD)/unit/%: $(BUILD)/tests/unit/%.o $(call obj,$(testlib_c)) \
		$(call obj,$(fcgilib_c)) $(common_a)
	@mkdir -p $(@D)
	@echo "  $@"
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(TEST_LIBS) $(FCGI_LIBS) $(LIBS)
fuzz_objects := $(call obj,$(fuzzlib_c) tests/unit/scratch.c $(fcgilib_c)) \
	$(common_a)
$(BUILD)/unit/fuzz_%: $(BUILD)/tests/fuzz/fuzz_%.o \
		$(BUILD)/tests/fuzz/run.o $(fuzz_objects)
	@mkdir -p $(@D)
	@echo "  $@"
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(FCGI_LIBS) $(LIBS)
$(BUILD)/fuzz/%: $(BUILD)/tests/fuzz/%.o $(fuzz_objects)
	@mkdir -p $(@D)
	@echo "  $@"
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(FCGI_LIBS) $(LIBS)
$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	@echo "  $@"
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# It holds that file, by an .incbin that -MMD does not see.
$(BUILD)/cli/webserver.o: lighttpd.conf.example

# Rebuild when the flags change.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS)' | cmp -s - $@ || \
		echo '$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS)' >$@

-include $(patsubst %.o,%.d,$(call obj,$(sources)))
.SECONDARY: $(call obj,$(sources))

# Unit tests: each program runs from the repository root; one that waits for
# ever fails within 15 minutes, so that the others are heard of.
# The benchmark's programs are built, so that they stay buildable.
UNIT_LIMIT := timeout 900
check: $(units) all $(benches)
	@failed=0; for t in $(units); do \
		$(UNIT_LIMIT) $$t >$$t.log 2>&1 && echo "ok   $${t##*/}" || \
		{ failed=1; echo "FAIL $${t##*/}"; cat $$t.log; }; \
	done; exit $$failed

# libFuzzer, for FUZZ_SECONDS of processor time a target, and what is no
# FastCGI for FUZZ_ROUNDS; tests/fuzz/fuzz.py says what else may be set. Its
# variant's folder keeps what it finds.
FUZZ_ROUNDS ?= 5000
FUZZ_VARIANT := CC=clang SANITIZE=fuzzer,address,undefined
fuzz: all
	scripts/install-deps check
	+$(MAKE) $(FUZZ_VARIANT) fuzzers
	$(PYTHON) tests/fuzz/fuzz.py build-fuzzer-address-undefined-clang
	FUZZ_ROUNDS=$(FUZZ_ROUNDS) $(PYTHON) -m pytest -q -p no:cacheprovider \
		tests/system/test_fcgi_fuzz.py
fuzzers: $(fuzzers)

# The unit programs under valgrind, and what is left of their memory. Without
# test_spawn: RLIMIT_DATA and a program that is not there are otherwise under
# valgrind. Those of valgrinds_slow are most of the time; the check does the
# others.
VALGRIND ?= valgrind -q --error-exitcode=9 --leak-check=full \
	--errors-for-leak-kinds=definite,indirect
valgrinds := $(filter-out valgrind-spawn,$(patsubst \
	$(BUILD)/unit/test_%,valgrind-%,$(units)))
valgrinds_slow := $(addprefix valgrind-,compression imageconfig imageindex \
	imageremake layer \
	layertar pattern plan planhistory)
valgrind: $(valgrinds)
valgrind-fast: $(filter-out $(valgrinds_slow),$(valgrinds))
valgrind-%: $(BUILD)/unit/test_%
	@$(UNIT_LIMIT) $(VALGRIND) $< >$<.valgrind.log 2>&1 && echo "ok   $@" || \
		{ echo "FAIL $@"; cat $<.valgrind.log; exit 1; }

# System tests with builders and responders under valgrind, 13 minutes of
# processor time: see tests/system/harness/watch.py.
valgrind-system: all
	scripts/install-deps check
	tests/watch --valgrind $(BUILD) $(BUILD)-valgrind
	FLAKEHUB_BUILD=$(BUILD)-valgrind $(PYTHON) -m pytest -q \
		-p no:cacheprovider -n 3 -m sanitized tests/system

# Which lines of common/ and fcgi/ the unit and the system tests run. Counted
# are programs that end by themselves; those of other users may count, too.
# Left out is what tries clients, not us, what takes ten minutes, and torture,
# most of whose processes are killed.
coverage:
	scripts/install-deps check
	find build-coverage -name '*.gcda' -delete 2>/dev/null || true
	$(MAKE) -j"$$(nproc)" COVERAGE=1 check
	build-coverage/flakehub --version
	build-coverage/flakehub.fcgi --version
	find build-coverage -name '*.gcda' -exec chmod a+rw {} +
	FLAKEHUB_BUILD=build-coverage $(PYTHON) -m pytest -q \
		-p no:cacheprovider -n 3 tests/system \
		--ignore tests/system/test_long.py \
		--ignore tests/system/test_pull.py \
		--ignore tests/system/test_torture.py; \
	status=$$?; scripts/coverage build-coverage && exit $$status

# Programs of the benchmark; bench/README.md says what it does and prints.
$(BUILD)/bench/%: $(BUILD)/bench/%.o $(common_a)
	@echo "  $@"
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(FCGI_LIBS) $(LIBS)
bench: $(benches) all
	scripts/install-deps bench
	FLAKEHUB_BUILD=$(BUILD) $(PYTHON) bench/run.py

# Faults, injected for real, and one table of what came of them: see
# tests/torture/run.py. TORTURE_SEED repeats a run.
TORTURE_ROUNDS ?= 600
TORTURE_SECONDS ?= 3600
TORTURE_JOBS ?= 2
TORTURE_VALGRIND ?=
torture: all
	FLAKEHUB_BUILD=$(BUILD) $(PYTHON) tests/torture/run.py \
		--rounds $(TORTURE_ROUNDS) --seconds $(TORTURE_SECONDS) \
		--jobs $(TORTURE_JOBS) \
		$(if $(TORTURE_SEED),--seed $(TORTURE_SEED)) \
		$(if $(TORTURE_VALGRIND),--valgrind) \
		--only '$(TORTURE_ONLY)' --without '$(TORTURE_WITHOUT)'

# What the planner makes a node fetch, beside others: no Nix, no network.
TRIALS ?= 0
bench-plan: $(BUILD)/bench/plan
	$(PYTHON) bench/plan.py $< --trials $(TRIALS)

# The same compressed bytes on CPUs without what this one has.
QEMU ?= qemu-x86_64
check-cpu: $(BUILD)/unit/test_compression
	@for cpu in core2duo Nehalem Haswell; do \
		$(QEMU) -cpu $$cpu $< >$<.$$cpu.log 2>/dev/null && \
		echo "ok   $(<F) as $$cpu" || \
		{ cat $<.$$cpu.log; exit 1; }; done

check-headers:
	@for h in $(headers); do \
		$(CC) $(ALL_CFLAGS) -fsyntax-only -x c $$h || exit 1; done

CLANG_FORMAT ?= clang-format
format:
	$(CLANG_FORMAT) -i $(sources) $(headers) $(shim)
format-check:
	$(CLANG_FORMAT) --dry-run -Werror $(sources) $(headers) $(shim)

# gcc's analyser and clang-tidy, of each file that has changed; .clang-tidy
# says what they look for. The analysis needs no debug information.
ANALYZE ?= gcc -fanalyzer -O1 -g0
CLANG_TIDY ?= clang-tidy
tidy_flags := -std=gnu17 -D_GNU_SOURCE -DFLAKEHUB_VERSION='"$(VERSION)"' -I.
linted    := $(common_c) $(fcgi_c) $(cli_c)
analyzed  := $(patsubst %.c,$(BUILD)/lint/%.analyzed,$(linted))
tidied    := $(patsubst %.c,$(BUILD)/lint/%.tidied,$(linted))
$(BUILD)/lint/%.analyzed: %.c $(headers)
	@mkdir -p $(@D)
	$(Q)$(ANALYZE) -Werror -fPIE $(tidy_flags) -c -o /dev/null $<
	@touch $@
$(BUILD)/lint/%.tidied: %.c $(headers) .clang-tidy
	@mkdir -p $(@D)
	$(Q)$(CLANG_TIDY) --quiet $< -- $(tidy_flags) 2>$@.log || \
		{ cat $@.log; exit 1; }
	@touch $@
analyze: $(analyzed)
tidy: $(tidied)

# varFuncNullUB: NULL is a pointer in every C library that this runs on.
lint: analyze tidy
	@for f in $(sources); do \
		grep -q '#include "common/banned.h"' $$f || \
		{ echo "$$f: does not include common/banned.h"; exit 1; }; done
	cppcheck --quiet --error-exitcode=1 --inline-suppr --std=c11 -I. \
		--enable=warning,performance,portability \
		--suppress=missingIncludeSystem \
		--suppress=varFuncNullUB \
		$(common_c) $(fcgi_c) $(cli_c)
	$(foreach page,$(manuals),mandoc -Tlint -Wwarning $(page) &&) true

install: all
	install -d "$(DESTDIR)$(BINDIR)"
	install -m 755 $(programs) "$(DESTDIR)$(BINDIR)"
	for page in $(manuals); do \
		folder="$(DESTDIR)$(MANDIR)/man$${page##*.}" && \
		install -d "$$folder" && install -m 644 $$page "$$folder" || \
		exit 1; done
	install -d "$(DESTDIR)$(DOCDIR)"
	install -m 644 LICENSE $(wildcard *.conf.example) "$(DESTDIR)$(DOCDIR)"
	install -d $(DESTDIR)$(UNITDIR) $(DESTDIR)$(USERSDIR)
	for unit in systemd/flakehub*; do \
		sed 's|/usr/local/bin|$(BINDIR)|' $$unit \
			>$(DESTDIR)$(UNITDIR)/$${unit##*/} || exit 1; done
	install -m 644 systemd/sysusers.conf \
		$(DESTDIR)$(USERSDIR)/flakehub.conf

clean:
	rm -rf build build-*
