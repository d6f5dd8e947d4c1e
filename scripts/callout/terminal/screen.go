package terminal

import (
	"fmt"
	"io"
	"strings"
)

// Screen shows one text after the other in the same place, beside what stood on the terminal before: that is there again at the end.
type Screen struct {
	Out io.Writer
	// Rows is how many lines there are now; 0 if nobody knows.
	Rows func() int

	begun bool
}

// The sequences are those that xterm made a custom and all others took over.
const (
	beginScreen = "\x1b[?1049h\x1b[?25l" // the other screen, no cursor
	endScreen   = "\x1b[?25h\x1b[?1049l"
	home        = "\x1b[H"
	clearLine   = "\x1b[K" // what is to the right
	clearBelow  = "\x1b[J"
	beginFrame  = "\x1b[?7l" // long lines are cut
	endFrame    = "\x1b[?7h"
)

// Draw shows lines in the place of those before, without a moment of nothing between. What is too much for the screen is only counted.
func (s *Screen) Draw(lines []string) error {
	if rows := s.Rows(); rows > 1 && len(lines) > rows {
		more := len(lines) - rows + 1
		lines = append(append([]string(nil), lines[:rows-1]...), fmt.Sprintf("… %d more lines", more))
	}
	var frame strings.Builder
	if !s.begun {
		frame.WriteString(beginScreen)
		s.begun = true
	}
	frame.WriteString(beginFrame + home)
	for i, line := range lines {
		if i > 0 {
			frame.WriteString("\r\n")
		}
		frame.WriteString(line + clearLine)
	}
	frame.WriteString(clearBelow + endFrame)
	_, err := io.WriteString(s.Out, frame.String())
	return err
}

// End brings back what was there before.
func (s *Screen) End() {
	if s.begun {
		_, _ = io.WriteString(s.Out, endScreen) // who cannot be told is gone
	}
}
