/**
 * The page is a static export (out/), built by webpack: its chunk loader works under Trusted Types.
 * The build id is a hash of the sources, so that equal sources give equal files.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

const SOURCES = ['app', 'components', 'hooks', 'lib', 'public', 'config.js', 'package-lock.json'];

/** @param {string} path @returns {string[]} every file at or below `path`, sorted */
function filesIn(path) {
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found) return [];
  if (!found.isDirectory()) return [path];
  return readdirSync(path)
    .sort()
    .flatMap((name) => filesIn(join(path, name)));
}

function sourcesHash() {
  const hash = createHash('sha256');
  for (const file of SOURCES.flatMap(filesIn)) hash.update(file).update('\0').update(readFileSync(file));
  return hash.digest('hex').slice(0, 20);
}

/** @type {import('next').NextConfig} */
const config = {
  output: 'export',
  images: { unoptimized: true },
  reactStrictMode: true,
  poweredByHeader: false,
  generateBuildId: sourcesHash,
  experimental: { sri: { algorithm: 'sha256' } },
  // One style sheet, in the HTML: those of parts that are fetched later would come after them, and be seen to.
  webpack(webpackConfig, { isServer }) {
    if (!isServer) {
      const { cacheGroups } = webpackConfig.optimization.splitChunks;
      cacheGroups.styles = { name: 'styles', type: 'css/mini-extract', chunks: 'all', enforce: true };
    }
    return webpackConfig;
  },
};

export default config;
