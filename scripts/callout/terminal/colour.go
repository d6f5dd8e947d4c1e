package terminal

import "strconv"

// Colour is one of the terminal's own, which fit its background. The zero value is Plain.
type Colour int

// The colours. Plain is that of all other text: cells of one column that are painted, this one among them, have the same length more.
const (
	Red    Colour = 31
	Green  Colour = 32
	Yellow Colour = 33
	Plain  Colour = 39
	Grey   Colour = 90
)

// Palette paints, if it is true.
type Palette bool

// Paint colours text, of which it escapes what Line does.
func (p Palette) Paint(c Colour, text string) string {
	text = Line(text)
	if c == 0 {
		c = Plain
	}
	if !p {
		return text
	}
	return "\x1b[" + strconv.Itoa(int(c)) + "m" + text + "\x1b[" + strconv.Itoa(int(Plain)) + "m"
}
