# The sidecar. No step needs the network (`docker build --network none` passes): `dist/`, which has the packages in it, is made
# beforehand, by stack/sidecar-image.ts or by `npm run build`.
# BASE holds node, git, the docker client and Compose; images/sidecar-base says how it is made.
ARG BASE=microsaas-base:3
FROM ${BASE}

WORKDIR /opt/microsaas
ENV NODE_ENV=production
COPY images/sidecar/microsaas /usr/local/bin/microsaas
COPY package.json ./
COPY templates ./templates
COPY dist ./dist

ENTRYPOINT ["node", "/opt/microsaas/dist/main.js"]
CMD ["run"]
