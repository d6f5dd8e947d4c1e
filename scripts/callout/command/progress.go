package command

import (
	"slices"
	"time"

	"github.com/schollz/progressbar/v3"
)

// progress is a bar on a terminal and nothing elsewhere. It ends at size; of -1, which nobody knows the end of, it only counts.
func (a *app) progress(doing string, size int64, more ...progressbar.Option) *progressbar.ProgressBar {
	if !a.Terminal || size == 0 {
		return progressbar.NewOptions64(-1, progressbar.OptionSetVisibility(false))
	}
	return progressbar.NewOptions64(size, slices.Concat([]progressbar.Option{
		progressbar.OptionSetWriter(a.Err), progressbar.OptionSetDescription(doing), progressbar.OptionSetWidth(40), progressbar.OptionShowCount(),
		progressbar.OptionThrottle(100 * time.Millisecond), progressbar.OptionSetSpinnerChangeInterval(0), progressbar.OptionClearOnFinish(),
	}, more)...)
}
