# The image of every Understudy process: `docker build .` in a clean clone.
ARG NODE_IMAGE=node:24-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# The one install script is our own build, which needs the sources.
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build && npm prune --omit=dev --ignore-scripts

FROM ${NODE_IMAGE}
# Two words of Node on code that is not ours, which would stand between the JSON lines: a throttle of Automerge Repo that
# asks for a delay below zero, and `util._extend` in the package `request`.
ENV NODE_ENV=production NODE_OPTIONS="--disable-warning=TimeoutNegativeWarning --disable-warning=DEP0060"
WORKDIR /app
# A new named volume takes the owner and the mode of the folder that it is mounted on.
RUN mkdir -p /var/lib/understudy /run/understudy \
 && chown node:node /var/lib/understudy /run/understudy \
 && chmod 700 /var/lib/understudy /run/understudy \
 && ln -s /app/bin/understudy.js /usr/local/bin/understudy
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY LICENSE NOTICE ./
COPY bin ./bin
COPY data/agents.yaml ./data/
USER node
ENTRYPOINT ["understudy"]
CMD ["--help"]
