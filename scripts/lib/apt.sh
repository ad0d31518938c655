# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2016 # the $(NAMES) in formats are apt's, not the shell's
# What install-deps and the scripts that fetch both need to know about apt; sourced, not run.

# Debian's code name ("bookworm"), or nothing on another distribution.
debian_codename() {
	(
		# shellcheck disable=SC1091
		. /etc/os-release 2>/dev/null || exit 0
		[[ ${ID:-} == debian ]] && printf '%s\n' "${VERSION_CODENAME:-sid}"
		exit 0
	)
}

# The suite that carries newer versions than the release itself, where one is needed: the QEMU of
# Debian 12 (7.2) cannot move the state of a vhost-user device, its kernel (6.1) has no FUSE_TMPFILE.
extra_suite() {
	if [[ $(debian_codename) == bookworm ]]; then echo bookworm-backports; fi
}

# Does apt know this suite? Arguments after the first go to apt-get.
apt_knows_suite() {
	local suite=$1
	shift
	apt-get "$@" indextargets --format '$(RELEASE)' 'Created-By: Packages' |
		grep -xF "$suite" >/dev/null
}

# A one-line source entry for a suite, on the mirror that apt has the release from. Apt itself is
# asked, so that it does not matter how the sources are written (one-line, deb822, mirror+file:).
# It answers only after an update. Arguments after the first go to apt-get.
apt_source_line() {
	local suite=$1 mirror signed='' keyring=/usr/share/keyrings/debian-archive-keyring.gpg
	shift
	# The release itself, not its updates or its security archive, which may live elsewhere.
	mirror=$(apt-get "$@" indextargets --format '$(CODENAME) $(RELEASE) $(COMPONENT) $(REPO_URI)' \
		'Created-By: Packages' 'Origin: Debian' |
		awk -v name="$(debian_codename)" '$1 == name && $3 == "main" && !n++ { print $4 }')
	[[ -n $mirror ]] || return 1
	[[ -r $keyring ]] && signed="[signed-by=$keyring] "
	printf 'deb %s%s %s main\n' "$signed" "$mirror" "$suite"
}

# Runs COMMAND with options for apt, after its other arguments, that give it package lists of our own
# below WORK: for when the system's are absent, too old, or without what is needed. Needs no privilege.
# usage: apt_with_own_lists WORK COMMAND...
apt_with_own_lists() {
	local work=$1 suite
	local own=("-oDir::State::Lists=$work/lists" "-oDir::Cache=$work/cache"
		"-oDir::Etc::SourceParts=$work/sources" -oAcquire::Languages=none)
	shift
	mkdir -p "$work"/{lists,cache/archives}/partial "$work/sources"
	cp /etc/apt/sources.list.d/*.{list,sources} "$work/sources" 2>/dev/null || true
	apt-get "${apt_unprivileged[@]}" "${own[@]}" update
	suite=$(extra_suite)
	if [[ -n $suite ]] && ! apt_knows_suite "$suite" "${own[@]}"; then
		apt_source_line "$suite" "${own[@]}" >"$work/sources/extra.list"
		apt-get "${apt_unprivileged[@]}" "${own[@]}" update
	fi
	"$@" "${own[@]}"
}
apt_unprivileged=(-q -o APT::Sandbox::User=root)
