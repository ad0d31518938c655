# SPDX-License-Identifier: BSD-3-Clause
# A few targets in front of Meson. `make help` lists them.

BUILD     ?= build
PREFIX    ?= /usr/local
DESTDIR   ?=
SANITIZE  ?=
SECONDS   ?= 60
MIGRATIONS ?= 5
FUZZ_SECONDS ?= 10
FUZZERS   := $(BUILD)-fuzz
MESONFLAGS ?=

# An empty prefix is as good as none given; a relative DESTDIR is meant from here.
ifeq ($(strip $(PREFIX)),)
override PREFIX := /usr/local
endif
override DESTDIR := $(abspath $(DESTDIR))

# The sanitizers get a build directory of their own, so that `make` stays what it was.
ifneq ($(SANITIZE),)
BUILD := $(BUILD)-asan
MESONFLAGS += -Db_sanitize=address,undefined -Db_lundef=false
endif

NINJA = ninja -C $(BUILD)

.PHONY: all demo check check-all check-long check-mutants check-tsan check-clang check-deb lint bench bench-stop fuzz deb install
.PHONY: check-recover check-fs check-vm check-interop format clean help
all: $(BUILD)/build.ninja
	@$(NINJA)

$(BUILD)/build.ninja: | deps-build
	@meson setup $(BUILD) --prefix=$(PREFIX) --libexecdir=libexec $(MESONFLAGS)

# Installs nothing, and says nothing, when all is there.
.PHONY: deps-build deps-check deps-lint deps-deb deps-fs-tools deps-interop
deps-build deps-check deps-lint deps-deb deps-fs-tools deps-interop: deps-%:
	@scripts/install-deps $*

demo: deps-check all
	@scripts/fetch-guest $(BUILD)
	@python3 tests/vm/demo.py --build $(BUILD)

check: deps-check all
	@scripts/fetch-guest $(BUILD)
	@scripts/fetch-etcd $(BUILD)
	@scripts/build-fuzzers $(FUZZERS)
	@FUZZERS=$(abspath $(FUZZERS)) FUZZ_SECONDS=$(FUZZ_SECONDS) scripts/run-tests $(BUILD)

# The guest's file system against the host's, in all configurations, and against a model while the
# guest moves MIGRATIONS times in SECONDS.
check-fs: deps-check deps-fs-tools all
	@scripts/fetch-guest $(BUILD)
	@scripts/check-fs $(BUILD) $(SECONDS) $(MIGRATIONS)

# Real guests in every migration mode, as root and not, with 1,024 descriptors and more, live and by
# a file: what make check has one of each of.
check-vm: deps-check all
	@scripts/fetch-guest $(BUILD)
	@python3 tests/vm/matrix.py --guest-dir $(BUILD)/guest --init $(BUILD)/tests/vm/guest-init \
		--daemon $(BUILD)/src/daemon/godwit-fs

# What is too long for every change: both compilers, all sanitizers, lint, longer fuzzing.
check-all: lint check
	@$(MAKE) check SANITIZE=1
	@$(MAKE) check-clang
	@$(MAKE) check-tsan
	@$(MAKE) check-deb
	@$(MAKE) check-vm
	@$(MAKE) check-long
	@$(MAKE) check-mutants
	@$(MAKE) fuzz

check-clang: deps-check deps-lint
	@[ -f $(BUILD)-clang/build.ninja ] || CC=clang meson setup $(BUILD)-clang
	@ninja -C $(BUILD)-clang
	@scripts/run-tests $(BUILD)-clang --no-suite vm

check-tsan: deps-check
	@[ -f $(BUILD)-tsan/build.ninja ] || meson setup $(BUILD)-tsan -Db_sanitize=thread -Db_lundef=false
	@ninja -C $(BUILD)-tsan
	@scripts/run-tests $(BUILD)-tsan --no-suite vm

deb: deps-deb
	@scripts/make-deb $(BUILD)/deb

check-deb: deps-check deb all
	@scripts/run-tests $(BUILD) --suite packaging --suite install
	@python3 tests/packaging/deb.py $(BUILD)/deb

# What make check does with fewer: damaged states, and a million inodes with 1,024 descriptors.
FS = $(abspath $(BUILD))/src/daemon/godwit-fs --sandbox=none
check-long: all check-recover
	@python3 tests/cli/conform.py $(BUILD)/src/cli/godwit $(firstword $(FS)) \
		$(BUILD)/src/daemon/godwit-null $(BUILD)/src/daemon/godwit-relay every
	@$(BUILD)/tests/migration/migration-damaged $(firstword $(FS)) 10000
	@FUSE_PROGRAM='$(FS)' $(BUILD)/tests/migration/migration-few-descriptors 1000000
	@FUSE_PROGRAM='$(FS) --inode-file-handles=never' $(BUILD)/tests/migration/migration-few-descriptors 1000000
	@$(BUILD)/tests/migration/migration-relay-ownership 1000
	@$(BUILD)/tests/migration/migration-fs-precopied-random 100

# A back-end that is killed 200 times under load, and 200 times more to see for how long nobody answers.
check-recover: all
	@$(BUILD)/tests/protocol/protocol-recover $(abspath $(BUILD))/src/daemon/godwit-null 200
	@$(BUILD)/tests/fs/fs-recover $(firstword $(FS)) 200 10000

# Plants one defect after the other in a copy of this tree: is each noticed?
check-mutants: deps-check
	@scripts/check-mutants

lint: deps-lint all
	@scripts/lint $(BUILD)

# Other makes' back-ends, where they are: a table of what each gets wrong, for docs/conformance.md.
check-interop: deps-interop all
	@python3 tests/interop/conform.py $(BUILD)

bench: all
	@bench/run $(BUILD)

bench-stop: all
	@$(BUILD)/tests/fs/fs-stop-copy 1024 20

fuzz: deps-lint
	@scripts/fuzz $(FUZZERS) $(SECONDS)

install: all
	@meson configure $(BUILD) -Dprefix=$(PREFIX) -Dlibexecdir=libexec >/dev/null
	@DESTDIR=$(DESTDIR) meson install -C $(BUILD)

format:
	@scripts/format

clean:
	@rm -rf $(BUILD) $(BUILD)-asan $(BUILD)-tsan $(BUILD)-clang $(BUILD)-fuzz

help:
	@echo 'make              build into $(BUILD)/'
	@echo 'make demo         migrate a real VM with a shared folder, and watch'
	@echo 'make check        run the tests (SANITIZE=1: under ASan and UBSan)'
	@echo 'make check-fs     file system behaviour: guest against host, and against a model'
	@echo '                  that moves (SECONDS=$(SECONDS) MIGRATIONS=$(MIGRATIONS))'
	@echo 'make check-vm     a real guest moves in every way that there is'
	@echo 'make check-all    lint, both compilers, all sanitizers, fuzzing'
	@echo 'make check-long   a million inodes, 10,000 damaged states, 1,000 hand-overs'
	@echo 'make check-mutants does each test notice the defect that it is there for?'
	@echo 'make lint         format, clang-tidy, cppcheck, headers, includes, scripts'
	@echo 'make check-interop test other makes of back-ends (VIRTIOFSD, PASST, QEMU_STORAGE_DAEMON)'
	@echo 'make bench        measure against virtiofsd (VIRTIOFSD=path)'
	@echo 'make bench-stop   how long a stop takes behind a long copy'
	@echo 'make deb          Debian packages into $(BUILD)/deb/ (make check-deb: and look at them)'
	@echo 'make fuzz         each fuzzer for SECONDS=$(SECONDS)'
	@echo 'make install      PREFIX=$(PREFIX) DESTDIR=$(DESTDIR)'
