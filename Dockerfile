# syntax=docker/dockerfile:1
# The image holds only the operator: one static binary, and the CA certificates that it needs. Each platform is built on
# that platform, or by emulation if the builder is a different one:
#   docker buildx build --platform linux/amd64,linux/arm64 --build-arg VERSION=0.1.0 --build-arg REVISION=$(git rev-parse HEAD) .

ARG RUST_VERSION=1.95
ARG ALPINE_VERSION=3.22

# Rust on Alpine builds static binaries by default, because its libc is musl. The operator's TLS needs no system library.
FROM rust:${RUST_VERSION}-alpine${ALPINE_VERSION} AS sources
# Alpine keeps only the newest build of a package. A pinned version would soon break the build.
# hadolint ignore=DL3018
RUN apk add --no-cache ca-certificates musl-dev
WORKDIR /source
COPY . .

FROM sources AS build
# The feature `otlp` sends traces to a collector, if the environment names one. Builds of the sources leave it out, because
# its dependencies make the first build longer.
# The caches keep the downloads and compiled files of earlier builds. No part of them gets into the image.
ARG TARGETARCH
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/source/target,id=target-${TARGETARCH},sharing=locked \
    cargo build --release --locked --features otlp --bin cognigy-operator \
    && cp target/release/cognigy-operator /cognigy-operator

# The kubectl plugin, only for the archives of a release (--target plugin). No part of it gets into the image. The binary writes
# its own man pages.
FROM sources AS build-plugin
ARG TARGETARCH
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/source/target,id=target-${TARGETARCH},sharing=locked \
    cargo build --release --locked --package kubectl-cognigy \
    && cp target/release/kubectl-cognigy /kubectl-cognigy \
    && /kubectl-cognigy man --directory /man

FROM scratch AS plugin
COPY --from=build-plugin /kubectl-cognigy /kubectl-cognigy
COPY --from=build-plugin /man /man

FROM scratch
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="cognigy-operator" \
      org.opencontainers.image.description="Rolls out Cognigy.AI environments and rolls them back if they are unhealthy" \
      org.opencontainers.image.source="https://github.com/cognigy-operator/cognigy-operator" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /source/LICENSE /LICENSE
COPY --from=build /cognigy-operator /cognigy-operator
# The user is a number, because Kubernetes cannot tell from a name that it is not root.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/cognigy-operator"]
CMD ["run"]
