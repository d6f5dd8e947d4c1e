package console

import "strings"

// mostCompared is how many lines two texts may have that are compared line by line: the work is their product.
const mostCompared = 500

// compared is a line of a text beside another one; Other says that the other text does not have it there.
type compared struct {
	Text  string
	Other bool
}

// compare says of each line of two texts whether the other one has it too, in the same order.
func compare(before, after string) (left, right []compared) {
	a, b := strings.Split(before, "\n"), strings.Split(after, "\n")
	common := make([][]int, len(a)+1) // of the lines from there on
	if len(a) > mostCompared || len(b) > mostCompared {
		return unmarked(a), unmarked(b)
	}
	for i := range common {
		common[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if common[i][j] = max(common[i+1][j], common[i][j+1]); a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			}
		}
	}
	i, j := 0, 0
	for i < len(a) && j < len(b) {
		switch {
		case a[i] == b[j]:
			left, right = append(left, compared{Text: a[i]}), append(right, compared{Text: b[j]})
			i, j = i+1, j+1
		case common[i+1][j] >= common[i][j+1]:
			left = append(left, compared{a[i], true})
			i++
		default:
			right = append(right, compared{b[j], true})
			j++
		}
	}
	for ; i < len(a); i++ {
		left = append(left, compared{a[i], true})
	}
	for ; j < len(b); j++ {
		right = append(right, compared{b[j], true})
	}
	return left, right
}

func unmarked(lines []string) (all []compared) {
	for _, l := range lines {
		all = append(all, compared{Text: l})
	}
	return all
}
