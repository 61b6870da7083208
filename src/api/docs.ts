import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import express, { Router } from 'express';

// The package has no type declarations; only the place of its files is needed.
const assets = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));

const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><title>Anneal API</title>
<link rel="stylesheet" href="/docs/assets/swagger-ui.css">
</head>
<body>
<div id="api"></div>
<script src="/docs/assets/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>`;

const start = `SwaggerUIBundle({ url: '/openapi.json', dom_id: '#api', deepLinking: true, validatorUrl: null });`;

/** The documentation page: Swagger UI from the installed package, so that it works without a network. */
export function docsRouter(): Router {
  const router = Router();
  router.get('/', (_request, response) => void response.type('html').send(page));
  router.get('/start.js', (_request, response) => void response.type('js').send(start));
  router.use('/assets', express.static(assets, { index: false }));
  return router;
}
