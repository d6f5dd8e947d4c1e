// Package callout has no code: it is the root of the module, and its test holds the architecture.
package callout
