# The image: the program, the local voice and the roots of certificates; no compiler, no speech models, no root
# (docs/install.md). The bases are arguments, for a registry of your own, or for one that mmdebstrap makes without any:
# see tests/deploy/image, which also puts a binary that is already there in place of the stage `build`.
ARG BUILD_BASE=docker.io/library/rust:1-bookworm
ARG BASE=docker.io/library/debian:bookworm-slim

FROM ${BUILD_BASE} AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends cmake g++ nodejs npm \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --release --locked -p trunkline-cli \
    && install -D target/release/trunkline /out/trunkline

FROM ${BASE}
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates espeak-ng \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*.log /var/log/apt \
    && groupadd --system --gid 10001 trunkline \
    && useradd --system --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/trunkline \
        --shell /usr/sbin/nologin trunkline \
    && install -d -o 10001 -g 10001 -m 0750 /var/lib/trunkline
COPY --from=build /out/trunkline /usr/bin/trunkline
COPY debian/config.toml /etc/trunkline/config.toml
# A number, so that Kubernetes can tell that it is not root.
USER 10001:10001
WORKDIR /var/lib/trunkline
VOLUME /var/lib/trunkline
EXPOSE 3008/tcp 5060/tcp 5060/udp 8189/tcp 8189/udp 40000-44999/udp
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=60s --retries=3 CMD ["/usr/bin/trunkline", "health"]
ENTRYPOINT ["/usr/bin/trunkline"]
CMD ["serve"]
