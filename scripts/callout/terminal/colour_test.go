package terminal_test

import (
	"strings"
	"testing"

	"github.com/callout-dev/callout/scripts/callout/terminal"
)

func TestPaint(t *testing.T) {
	for name, tt := range map[string]struct {
		palette terminal.Palette
		colour  terminal.Colour
		text    string
		want    string
	}{
		"a colour":             {true, terminal.Red, "dead", "\x1b[31mdead\x1b[39m"},
		"none":                 {true, 0, "pending", "\x1b[39mpending\x1b[39m"},
		"where nobody may":     {false, terminal.Red, "dead", "dead"},
		"sequences in between": {true, terminal.Red, "a\x1b[2Jb\n", "\x1b[31ma\\u001b[2Jb\\u000a\x1b[39m"},
		"and without colours":  {false, terminal.Red, "a\x1b[2J", `a\u001b[2J`},
	} {
		if got := tt.palette.Paint(tt.colour, tt.text); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
	lengths := map[int]bool{}
	for _, c := range []terminal.Colour{0, terminal.Red, terminal.Green, terminal.Yellow, terminal.Plain, terminal.Grey} {
		lengths[len(terminal.Palette(true).Paint(c, "x"))] = true
	}
	if len(lengths) != 1 {
		t.Errorf("the sequences have %d lengths: a table's columns would not stay in line", len(lengths))
	}
}

func TestScreen(t *testing.T) {
	var out strings.Builder
	height := 3
	s := terminal.Screen{Out: &out, Rows: func() int { return height }}
	s.End()
	if out.Len() > 0 {
		t.Errorf("nothing was drawn, and the end says %q", &out)
	}
	draw := func(lines ...string) string {
		out.Reset()
		if err := s.Draw(lines); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	if first := draw("a", "b"); !strings.HasPrefix(first, "\x1b[?1049h\x1b[?25l") || !strings.Contains(first, "\x1b[Ha\x1b[K\r\nb\x1b[K\x1b[J") {
		t.Errorf("the first one is %q", first)
	}
	if next := draw("1", "2", "3", "4"); strings.Contains(next, "1049") || !strings.Contains(next, "1\x1b[K\r\n2\x1b[K\r\n… 2 more lines\x1b[K\x1b[J") {
		t.Errorf("the next one is %q", next)
	}
	height = 0
	if all := draw("1", "2", "3", "4"); !strings.Contains(all, "4") {
		t.Errorf("where nobody knows the height, it is %q", all)
	}
	out.Reset()
	if s.End(); out.String() != "\x1b[?25h\x1b[?1049l" {
		t.Errorf("the end is %q", &out)
	}
}
