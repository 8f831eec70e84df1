package report_test

import (
	"fmt"
	"os"
	"time"

	"ebm/cmd/internal/report"
)

func Example() {
	doc := report.Document{
		Title:   "Rings",
		Summary: "300 steps.",
		Created: time.Date(2026, 1, 2, 15, 4, 0, 0, time.UTC),
		Sections: []report.Section{
			report.Facts{Title: "Settings", Items: []report.Fact{{Name: "Batch", Value: 128}, {Name: "Step size", Value: 0.02}}},
			report.Chart{Title: "Loss", X: report.Axis{Label: "step"}, Panels: []report.Panel{{
				Y:      report.Axis{Label: "loss", Log: true},
				Series: []report.Series{{X: []float64{0, 300}, Y: []float64{41, 2.5}}},
			}}},
			report.Checks{Title: "Checks", Items: []report.Check{{Name: "gradient", Measured: 3e-7, Limit: 1e-6}}},
		},
	}
	if err := doc.WriteJSON(os.Stdout); err != nil {
		fmt.Println(err)
	}
	// Output:
	// {"version":1,"title":"Rings","summary":"300 steps.","created":"2026-01-02T15:04:00Z","checks_passed":1,"checks_total":1,"sections":[
	// {"kind":"facts","title":"Settings","items":[{"name":"Batch","value":128},{"name":"Step size","value":0.02}]},
	// {"kind":"chart","title":"Loss","x":{"label":"step"},"panels":[{"y":{"label":"loss","log":true},"series":[{"x":[0,300],"y":[41,2.5]}]}]},
	// {"kind":"checks","title":"Checks","items":[{"name":"gradient","passed":true,"measured":3e-7,"relation":"at most","limit":0.000001}]}
	// ]}
}
