// Package browser is the suite of what the console does in a browser: with its script, its cookies and its policy enforced. It drives a
// headless Chromium, and is skipped where there is none. What the console answers is tested beside it, without a browser.
package browser
