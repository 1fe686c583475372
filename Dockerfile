# Builds Caddy with FaDO from this clone. Both tags and CADDY_VERSION go together.
FROM caddy:2.11.9-builder AS builder
WORKDIR /src
COPY . .
RUN CGO_ENABLED=0 xcaddy build v2.11.9 --output /usr/bin/caddy --with github.com/fado-project/fado=/src

FROM caddy:2.11.9
COPY --from=builder /usr/bin/caddy /usr/bin/caddy
# The admin API answers on localhost inside the container.
HEALTHCHECK --interval=15s --timeout=3s CMD wget -qO- http://127.0.0.1:2019/fado/ >/dev/null || exit 1
