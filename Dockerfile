# Debian and not Alpine: Temporal's native core has no musl build.
FROM node:24-bookworm-slim AS base
WORKDIR /app

# Install scripts stay off: the image has its own Node, the engines of Prisma are not used, and the model runtime's CPU
# library is inside its package.
FROM base AS build
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json prisma.config.ts openapi.json ./
COPY prisma ./prisma
COPY src ./src
RUN PRISMA_SCHEMA_ENGINE_BINARY=/bin/true node_modules/.bin/prisma generate \
 && node_modules/.bin/tsc -p tsconfig.build.json \
 && node dist/main/write-workflow-bundle.js

FROM base AS dependencies
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund

FROM base AS runtime
# Temporal's core reads the system's certificates for TLS.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && install --directory --owner=node --group=node --mode=0700 /var/lib/anneal
ENV NODE_ENV=production \
    ANNEAL_STATE_DIR=/var/lib/anneal \
    ANNEAL_HOST=0.0.0.0 \
    ANNEAL_WORKFLOW_BUNDLE=/app/dist/workflow-bundle.js
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY package.json openapi.json otel.mjs ./
COPY prisma ./prisma
COPY scripts/anneal.mjs scripts/runtime.mjs ./scripts/
USER node
VOLUME /var/lib/anneal
EXPOSE 7080 7081 7082
ENTRYPOINT ["node", "--enable-source-maps"]
CMD ["dist/main/api.js"]
