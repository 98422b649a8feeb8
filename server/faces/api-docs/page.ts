/** The page of the API's documentation, made by the bundled Scalar; it loads nothing from anywhere else. */

import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'

/** Version of the bundle: it stands in the address, so that a browser may keep the file for good. */
export const bundleVersion = '1.40.0'

/** The file name of the bundle below the page. */
export const bundleName = `scalar-${bundleVersion}.js`

/** The bundle, plain and compressed. */
export type Bundle = { plain: Buffer; gzipped: Buffer }

/** Reads the bundle that the package brings along; its own plugin would write a script into the page. */
export const readBundle = async (): Promise<Bundle> => {
  const entry = import.meta.resolve('@scalar/fastify-api-reference')
  const plain = await readFile(new URL('js/standalone.js', entry))
  return { plain, gzipped: await promisify(gzip)(plain) }
}

// Its fonts, its telemetry and what shares documents are on servers of others.
const configuration = {
  withDefaultFonts: false,
  telemetry: false,
  showDeveloperTools: 'never',
  hideClientButton: true,
  documentDownloadType: 'none',
  authentication: { preferredSecurityScheme: 'apiKey' },
  metaData: { title: 'Hubbub API' },
  defaultHttpClient: { targetKey: 'shell', clientKey: 'curl' },
}

/** Returns the page. Its addresses are relative, so that it also works below a path: `up` leads from it to the root. */
export const docsPage = ({ up, below }: { up: string; below: string }): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Hubbub API</title>
<link rel="icon" href="data:,">
</head>
<body>
<noscript>This page needs JavaScript. The document it shows is <a href="${up}api/v1/openapi.json">openapi.json</a>.</noscript>
<script id="api-reference" data-url="${up}api/v1/openapi.json" data-configuration="${attribute(configuration)}"></script>
<script src="${below}${bundleName}"></script>
</body>
</html>
`

const attribute = (value: unknown): string => JSON.stringify(value).replaceAll('&', '&amp;').replaceAll('"', '&quot;')

/** Returns the policy of the page: its own files, styles that it makes, and requests to the API when they are tried out. */
export const docsPolicy = (api: string): string =>
  [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'unsafe-inline'",
    "img-src 'self' data:",
    'font-src data:',
    `connect-src 'self'${originOf(api)}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ')

// The address may come from the Host header, which is anything.
const originOf = (api: string): string => {
  const origin = URL.canParse(api) ? new URL(api).origin : ''
  return /^https?:\/\/[\w.:[\]-]+$/.test(origin) ? ` ${origin}` : ''
}
