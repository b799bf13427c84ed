# The image of ctlstore on a machine with a container registry: docker build --tag ctlstore .
# Without one: ./justw image, which makes the same files into an image by itself (docs/decisions/0021-static-image.md).
FROM rust:1.95-bookworm AS build
RUN apt-get update && apt-get install --yes --no-install-recommends jq binutils ca-certificates
WORKDIR /src
COPY . .
RUN hack/image.sh root /image && chown 64000:64000 /image/var/lib/ctlstore

FROM scratch
LABEL org.opencontainers.image.title=ctlstore \
      org.opencontainers.image.description="Control data in a SQLite file on every node" \
      org.opencontainers.image.licenses=Apache-2.0
COPY --from=build /image /
USER 64000:64000
ENTRYPOINT ["/usr/bin/ctlstore"]
