/**
 * Lint rules: Next's own, no import cycles, and the import directions of the page —
 * app → components → hooks → lib/index.js; lib is framework-free.
 */
import next from 'eslint-config-next/core-web-vitals';

/** What each folder may not import, as zones of import/no-restricted-paths. */
const zones = [
  {
    target: './lib',
    from: ['./app', './components', './hooks', './config.js'],
    message: 'lib stands alone.',
  },
  { target: './hooks', from: ['./app', './components'], message: 'hooks know no component.' },
  { target: './components', from: './app', message: 'components know no route.' },
  {
    target: './components/ui',
    from: ['./hooks', './components/chat', './components/account'],
    message: 'ui knows no chat.',
  },
  {
    target: ['./app', './components', './hooks'],
    from: './lib',
    except: ['./index.js'],
    message: 'lib/index.js is the only door.',
  },
  { target: ['./app', './components'], from: './lib', message: 'Only hooks reach the library.' },
];

const config = [
  ...next,
  {
    rules: {
      'import/no-cycle': 'error',
      'import/no-restricted-paths': ['error', { basePath: import.meta.dirname, zones }],
      'import/no-anonymous-default-export': 'error',
      'import/first': 'error',
      'import/no-duplicates': 'error',
      'no-console': 'error',
      'no-empty': 'error',
      'prefer-const': 'error',
      'no-unused-vars': ['error', { args: 'after-used', ignoreRestSiblings: true }],
      eqeqeq: 'error',
    },
  },
  {
    files: ['lib/**/*.js'],
    rules: {
      'no-restricted-imports': [
        'error',
        { paths: ['react', 'react-dom', 'next'], patterns: ['next/*', '*.css'] },
      ],
    },
  },
  {
    files: ['app/**/*.js', 'components/**/*.js'],
    rules: {
      // A prerendered style attribute is blocked by the server's CSP and never repaired by hydration.
      'no-restricted-syntax': [
        'error',
        { selector: 'JSXAttribute[name.name="style"]', message: 'Use a class: inline styles are blocked.' },
      ],
    },
  },
  { ignores: ['out/**', '.next/**', 'node_modules/**'] },
];

export default config;
