# For the scripts that pack the files of a release.

# The platform of a folder such as built-linux-amd64. Artifacts of the workflow have the prefix.
platform_of() {
    local platform
    platform=$(basename "$1")
    printf '%s\n' "${platform#built-}"
}

# Rust's name for a platform.
target_of() {
    case $1 in
        linux-amd64) echo x86_64-unknown-linux-musl ;;
        linux-arm64) echo aarch64-unknown-linux-musl ;;
        macos-arm64) echo aarch64-apple-darwin ;;
        *) printf '%s is no platform of a release\n' "$1" >&2; return 1 ;;
    esac
}

# Prints the archive of the folder NAME in PARENT: `archive PARENT NAME`. All files get the time of the commit. The files must have
# their modes already, because artifacts of a workflow do not keep modes.
archive() {
    local time
    time=$(git log -1 --format=%ct)
    tar -C "$1" --sort=name --mtime="@$time" --owner=0 --group=0 --numeric-owner -c "$2" | gzip -9n
}
