# syntax=docker/dockerfile:1
# The operator, and nothing else: one static binary with the CA certificates it needs. Each platform is built on that
# platform (by emulation, where the builder is another one):
#   docker buildx build --platform linux/amd64,linux/arm64 --build-arg VERSION=0.1.0 --build-arg REVISION=$(git rev-parse HEAD) .

ARG RUST_VERSION=1.95
ARG ALPINE_VERSION=3.22

# Alpine's Rust builds static binaries by itself: its libc is musl, and the TLS of the operator needs no system library.
FROM rust:${RUST_VERSION}-alpine${ALPINE_VERSION} AS build
# Alpine keeps only the newest build of a package: a pinned one would break the build the day after.
# hadolint ignore=DL3018
RUN apk add --no-cache ca-certificates musl-dev
WORKDIR /source
COPY . .
# The caches hold what was downloaded and compiled for the last build; nothing of them gets into the image.
ARG TARGETARCH
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/source/target,id=target-${TARGETARCH},sharing=locked \
    cargo build --release --locked --bin cognigy-operator \
    && cp target/release/cognigy-operator /cognigy-operator

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
# A number, so that Kubernetes can see that it is not root.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/cognigy-operator"]
CMD ["run"]
