// Opens pages in a headless Chromium and collects what goes wrong in them.

import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import puppeteer from 'puppeteer-core';

const axe = readFileSync(new URL('node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');

const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM,
  args: ['--no-sandbox', '--disable-dev-shm-usage'],
});

export const close = () => browser.close();

/** Opens a page; `wrong` collects uncaught errors, messages of the console and dialogs. */
export async function open(file, { width = 1280, scheme = 'light', script = true } = {}) {
  const page = await browser.newPage();
  const wrong = [];
  page.on('pageerror', (error) => wrong.push(error.message));
  page.on('console', (message) => wrong.push(message.text()));
  page.on('dialog', (dialog) => {
    wrong.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on('request', (request) => request.url().startsWith('file:') || wrong.push(`request: ${request.url()}`));
  await page.setJavaScriptEnabled(script);
  await page.setViewport({ width, height: 900 });
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
  await page.goto(pathToFileURL(file).href, { waitUntil: 'load' });
  return { page, wrong };
}

/** Serious faults of accessibility, each with the first element that has it. */
export async function faults(page) {
  // The page's policy runs no other script, so this one comes through the debugger.
  await page.evaluate(axe);
  return page.evaluate(async () => {
    const { violations } = await globalThis.axe.run(document, { resultTypes: ['violations'] });
    const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
    return serious.map(({ id, nodes }) => `${id}: ${nodes[0].html.slice(0, 200)} ${nodes[0].failureSummary}`);
  });
}

/** Words of all elements that a selector finds. */
export const words = (page, selector) =>
  page.$$eval(selector, (found) => found.map((one) => one.textContent.replace(/\s+/g, ' ').trim()));
