package main

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// debt is how many bytes the store under Firestore has yet to merge.
func (c *client) debt(ctx context.Context) (float64, error) {
	const name = "storage_compaction_debt_bytes"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.Firestore+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(io.LimitReader(response.Body, 4<<20))
	if err != nil {
		return 0, err
	}
	metrics := families[name].GetMetric()
	if len(metrics) != 1 {
		return 0, fmt.Errorf("%s tells no %s", request.URL, name)
	}
	return metrics[0].GetGauge().GetValue(), nil
}
