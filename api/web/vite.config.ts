// Builds the control room into api/web/dist, which the api serves. Everything is bundled: no address outside is ever asked.
import { fileURLToPath } from 'node:url'
import preact from '@preact/preset-vite'
import { defineConfig } from 'vite'

const here = fileURLToPath(new URL('.', import.meta.url))

export default defineConfig({
  root: here,
  plugins: [preact()],
  build: {
    outDir: `${here}dist`,
    emptyOutDir: true,
    sourcemap: false,
    target: 'es2023',
    chunkSizeWarningLimit: 1500,
    rolldownOptions: {
      // The control room and the customer's account page: two pages, nothing of one in the other.
      input: { main: `${here}index.html`, account: `${here}account.html` },
      output: { manualChunks: (id: string) => (id.includes('maplibre-gl') ? 'maplibre' : undefined) },
    },
  },
  worker: { format: 'es' },
  server: { proxy: { '/v1': 'http://127.0.0.1:8080', '/tmf-api': 'http://127.0.0.1:8080' } },
})
