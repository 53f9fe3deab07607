# Containers of pixi-ws: what geom-image builds, by any builder that knows Docker 20.10 (docs/image.md, "Container").
#
#   docker build -t geom-os .                               the client, as config/geom_os_image.yaml describes it
#   docker build -t geom-os --build-arg PIXI_WS_URL=wss://pixi.example/api/v1 .
#   docker build -t pixi-ws-server --target server .        the server
#   docker run -v "$PWD/config/api_key:/run/secrets/pixi_api_key:ro" geom-os
#
# No key is in any of them: it is mounted when the container starts, readable by user 990.

ARG DEBIAN=debian:bookworm-slim
FROM $DEBIAN AS build
WORKDIR /src
COPY tools/install-deps tools/
RUN tools/install-deps build rootfs
COPY . .
RUN make && make image-programs
RUN build/bin/geom-image build --no-kernel --output /out/server config/pixi_ws_server_image.yaml \
    && mkdir /out/server/root && tar -xpf /out/server/*.rootfs.tar -C /out/server/root
# Another description, with other settings; its paths count from its folder.
ARG DESCRIPTION=config/geom_os_image.yaml
RUN build/bin/geom-image build --no-kernel --output /out/client "$DESCRIPTION" \
    && mkdir /out/client/root && tar -xpf /out/client/*.rootfs.tar -C /out/client/root

FROM scratch AS server
COPY --from=build /out/server/root/ /
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
USER pixi
EXPOSE 8768
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=5s --retries=3 \
    CMD ["wget", "-q", "-O", "/dev/null", "http://127.0.0.1:8768/readyz"]
ENTRYPOINT ["/usr/lib/pixi/entry"]
CMD ["pixi-ws-server"]

FROM scratch AS client
COPY --from=build /out/client/root/ /
# The server, instead of the url of the settings; empty: the settings'.
ARG PIXI_WS_URL=
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin PIXI_WS_URL=$PIXI_WS_URL
USER pixi
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=5s --retries=3 \
    CMD ["pixi-ws-client", "verify", "--quick"]
ENTRYPOINT ["/usr/lib/pixi/entry"]
CMD ["pixi-ws-client", "daemon"]
