// Package terminal makes text from outside safe to show: nothing that a stranger sends moves the cursor, recolours the screen or
// reverses the reading order.
package terminal

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Line escapes everything that is not printable, line breaks included, as \u0000.
func Line(text string) string { return escape(text, "") }

// Text is Line but for line breaks and tabs, which stay. JSON text remains the same JSON.
func Text(text string) string { return escape(text, "\n\t") }

func escape(text, keep string) string {
	hostile := func(r rune) bool { return !unicode.IsPrint(r) && !strings.ContainsRune(keep, r) }
	if utf8.ValidString(text) && !strings.ContainsFunc(text, hostile) {
		return text
	}
	var out strings.Builder
	for _, r := range text { // what is not UTF-8 becomes U+FFFD, which is printable
		switch {
		case !hostile(r):
			out.WriteRune(r)
		case r > 0xFFFF:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&out, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return out.String()
}
