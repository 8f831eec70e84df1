package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// px is a length in a drawing, printed to a tenth.
type px float64

// String returns p without needless digits.
func (p px) String() string {
	return strconv.FormatFloat(math.Round(float64(p)*10)/10, 'f', -1, 64)
}

// shortest returns the float64 nearest to the shortest decimal that means v.
func shortest(v float32) float64 {
	f, _ := strconv.ParseFloat(strconv.FormatFloat(float64(v), 'g', -1, 32), 64)
	return f
}

// valueText shows a value of plain.
func valueText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case int64:
		return grouped(strconv.FormatInt(v, 10))
	case float64:
		return NumberText(v)
	}
	return fmt.Sprint(v)
}

// NumberText shows a number with four significant digits.
func NumberText(v float64) string {
	switch {
	case math.IsNaN(v):
		return "not a number"
	case math.IsInf(v, 1):
		return "∞"
	case math.IsInf(v, -1):
		return "−∞"
	case v == 0:
		return "0"
	}
	size := math.Abs(v)
	if size < 1e-3 || size >= 1e7 {
		return scientific(v, 3)
	}
	decimals := max(0, 3-int(math.Floor(math.Log10(size))))
	text := strconv.FormatFloat(v, 'f', decimals, 64)
	if decimals > 0 {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return grouped(text)
}

// SpreadText shows a deviation, of which two digits are enough.
func SpreadText(v float64) string {
	if rounded, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 2, 64), 64); err == nil {
		v = rounded
	}
	return NumberText(v)
}

// fixedText shows a number with the given number of decimals.
func fixedText(v float64, decimals int) string {
	if v == 0 {
		v = 0 // not minus zero
	}
	return grouped(strconv.FormatFloat(v, 'f', decimals, 64))
}

// scientific shows a number as 1.25×10⁻⁶, with up to the given number of
// decimals in its mantissa.
func scientific(v float64, decimals int) string {
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(v, 'e', decimals, 64), "e")
	if strings.Contains(mantissa, ".") {
		mantissa = strings.TrimRight(strings.TrimRight(mantissa, "0"), ".")
	}
	n, _ := strconv.Atoi(exponent)
	power := "10" + superscript(n)
	switch mantissa {
	case "1":
		return power
	case "-1":
		return "−" + power
	}
	return strings.Replace(mantissa, "-", "−", 1) + "×" + power
}

func superscript(n int) string {
	digits := [...]rune{'⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'}
	var b strings.Builder
	for _, c := range strconv.Itoa(n) {
		if c == '-' {
			b.WriteRune('⁻')
		} else {
			b.WriteRune(digits[c-'0'])
		}
	}
	return b.String()
}

// grouped puts commas between the thousands of a number of five digits and
// more, and a minus sign for a hyphen.
func grouped(text string) string {
	sign := ""
	if strings.HasPrefix(text, "-") {
		sign, text = "−", text[1:]
	}
	whole, fraction, _ := strings.Cut(text, ".")
	if len(whole) > 4 {
		var b strings.Builder
		for i, c := range whole {
			if i > 0 && (len(whole)-i)%3 == 0 {
				b.WriteByte(',')
			}
			b.WriteRune(c)
		}
		whole = b.String()
	}
	if fraction != "" {
		whole += "." + fraction
	}
	return sign + whole
}

// durationText shows a duration with two units or three digits.
func durationText(d time.Duration) string {
	seconds := d.Seconds()
	whole := int64(math.Round(seconds))
	switch {
	case seconds < 1:
		return NumberText(math.Round(seconds*1e6)/1e3) + " ms"
	case seconds < 59.95:
		return fmt.Sprintf("%.1f s", seconds)
	case whole < 3600:
		return fmt.Sprintf("%d min %02d s", whole/60, whole%60)
	default:
		return fmt.Sprintf("%d h %02d min", whole/3600, whole/60%60)
	}
}
