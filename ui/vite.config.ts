import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

export default defineConfig({
  plugins: [react()],
  build: {
    outDir: "../src/sluicegate/web/static",
    emptyOutDir: true,
    target: "es2022",
    // The content security policy allows fonts from 'self' only, so nothing becomes a data: address.
    assetsInlineLimit: 0,
    // The preload helper is not needed by browsers that know import(), and it would be an inline script.
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 460,
  },
  server: { proxy: { "/api": "http://127.0.0.1:8400" } },
  test: {
    projects: [
      { test: { name: "unit", include: ["src/**/*.test.ts"], environment: "node" } },
      {
        test: {
          name: "browser",
          include: ["test/**/*.test.ts"],
          environment: "node",
          testTimeout: 60_000,
          hookTimeout: 60_000,
          fileParallelism: false,
          retry: process.env.CI ? 1 : 0, // on a loaded machine; vitest names those that needed it
        },
      },
    ],
  },
});
