# For scripts that run a cargo tool: finds the tool in the pinned version, or installs it beside the tools that the tests
# build. The installation compiles for some minutes, once.
#
#   cargo_tool NAME VERSION OPTION SCRIPT
#
# OPTION is the script's first argument: --install installs the tool and ends the script, --can only says whether it is installed.
cargo_tool() {
    local name=$1 version=$2 option=$3 script=$4
    local folder=${XDG_CACHE_HOME:-$HOME/.cache}/cognigy-operator/$name-$version

    if [ "$option" = --install ] && [ ! -x "$folder/bin/$name" ]; then
        CARGO_TARGET_DIR=$folder/target cargo install "$name" --version "$version" --locked --root "$folder"
        rm -rf "$folder/target"
    fi
    if [ ! -x "$folder/bin/$name" ]; then
        printf '%s %s is not installed: %s --install does it\n' "$name" "$version" "$script" >&2
        exit 1
    fi
    case $option in --install | --can) exit 0 ;; esac
    export PATH=$folder/bin:$PATH
}
