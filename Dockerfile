# The sidecar. No step needs the network (`docker build --network none` passes): `dist/` and the production
# `node_modules` are made beforehand, by stack/sidecar-image.ts or by `npm ci && npm run build && npm prune --omit=dev`.
# BASE holds node, git, the docker client and Compose; images/sidecar-base says how it is made.
ARG BASE=microsaas-base:3
FROM ${BASE}

WORKDIR /opt/microsaas
ENV NODE_ENV=production
COPY images/sidecar/microsaas /usr/local/bin/microsaas
COPY package.json ./
COPY node_modules ./node_modules
COPY templates ./templates
COPY dist ./dist

ENTRYPOINT ["node", "/opt/microsaas/dist/main.js"]
CMD ["run"]
