package rng

import (
	"math"
	"slices"
	"testing"
)

// The seeds are fixed, so the tests below always give one result. Their
// bounds are such that another choice of seed would fail a correct generator
// once in about a million: |z| < 4.9, and the same level elsewhere.
const (
	bound  = 4.9
	ksCrit = 2.69 // √(−ln(α/2)/2) for α = 10⁻⁶
)

// phi is the cumulative distribution function of the standard normal.
func phi(x float64) float64 { return 0.5 * math.Erfc(-x/math.Sqrt2) }

// checkChiSquare compares counts with equal expectations by the
// Wilson–Hilferty approximation of the chi-square distribution.
func checkChiSquare(t *testing.T, what string, counts []float64, total float64) {
	t.Helper()
	want := total / float64(len(counts))
	sum := 0.0
	for _, c := range counts {
		sum += (c - want) * (c - want) / want
	}
	k := float64(len(counts) - 1)
	z := (math.Cbrt(sum/k) - (1 - 2/(9*k))) / math.Sqrt(2/(9*k))
	if math.Abs(z) > bound {
		t.Errorf("%s: chi-square %.1f with %.0f degrees of freedom is %.1f standard deviations off", what, sum, k, z)
	}
}

// checkKS is the Kolmogorov–Smirnov test. It sorts the values.
func checkKS(t *testing.T, what string, values []float32, cdf func(float64) float64) {
	t.Helper()
	slices.Sort(values)
	n := float64(len(values))
	worst := 0.0
	for i, v := range values {
		f := cdf(float64(v))
		worst = max(worst, f-float64(i)/n, float64(i+1)/n-f)
	}
	if d := worst * math.Sqrt(n); d > ksCrit {
		t.Errorf("%s: Kolmogorov–Smirnov statistic %.2f, want below %.2f", what, d, ksCrit)
	}
}

func checkZ(t *testing.T, what string, got, want, deviation float64) {
	t.Helper()
	if z := (got - want) / deviation; !(math.Abs(z) < bound) {
		t.Errorf("%s is %g, want %g ± %.2g (%.1f standard deviations)", what, got, want, deviation, z)
	}
}

func TestNormalDistribution(t *testing.T) {
	samples := 3300 // 10 million numbers
	if testing.Short() {
		samples = 330
	}
	const each = 3072
	values := make([]float32, samples*each)
	for i := range samples {
		New(2).Normal(values[i*each:][:each], SampleNoise, uint64(i), uint32(i%7))
	}
	n := float64(len(values))

	const bins = 4096
	counts := make([]float64, bins)
	var moments [7]float64
	var beyond [6]float64
	for _, v := range values {
		x := float64(v)
		counts[min(bins-1, int(phi(x)*bins))]++
		power := 1.0
		for k := range moments {
			moments[k] += power
			power *= x
		}
		for k := range beyond {
			if math.Abs(x) > float64(k) {
				beyond[k]++
			}
		}
	}
	checkChiSquare(t, "normals in bins of equal probability", counts, n)

	// E xᵏ = (k−1)!! for even k, and its variance is E x²ᵏ − (E xᵏ)².
	expect := []float64{1, 0, 1, 0, 3, 0, 15, 0, 105, 0, 945, 0, 10395}
	for k := 1; k < len(moments); k++ {
		checkZ(t, "mean of x^"+string(rune('0'+k)), moments[k]/n, expect[k],
			math.Sqrt((expect[2*k]-expect[k]*expect[k])/n))
	}
	for k := 1; k < len(beyond); k++ {
		p := math.Erfc(float64(k) / math.Sqrt2)
		checkZ(t, "count beyond "+string(rune('0'+k))+" sigma", beyond[k], n*p, math.Sqrt(n*p))
	}
	checkKS(t, "normals", values, phi)
}

// The tail and the wedges are one draw in 80; looked at alone, errors there
// are not drowned by the rest.
func TestNormalTail(t *testing.T) {
	const n = 1_000_000
	s := New(4).stream(Probe, 1, 0)
	values := make([]float32, n)
	deep := 0.0
	for i := range values {
		word := uint32(0x7fffff00) // layer 0, the outermost position
		if i%2 == 1 {
			word = 0x80000000
		}
		x := s.normalOutside(word, uint32(i))
		if (x < 0) != (i%2 == 1) {
			t.Fatalf("tail draw %d is %v, on the wrong side", i, x)
		}
		values[i] = max(x, -x)
		if values[i] > 5 {
			deep++
		}
	}
	beyond := phi(-tailStart)
	p := phi(-5) / beyond // about 0.0022
	checkZ(t, "tail draws beyond 5 sigma", deep, n*p, math.Sqrt(n*p))
	checkKS(t, "tail", values, func(x float64) float64 { return 1 - phi(-x)/beyond })
}

func TestNormalWedge(t *testing.T) {
	// Of uniform points of one layer's wedge, normalOutside keeps those under
	// the density and replaces the rest by normal numbers.
	const n = 200_000
	for _, index := range []int{1, 40, 128, 254} {
		l := ziggurat[index]
		x0, x1 := math.Sqrt(-2*math.Log(l.high)), math.Sqrt(-2*math.Log(l.low))
		// The density over the wedge, integrated on a fine grid.
		const cells = 4000
		cum := make([]float64, cells+1)
		for c := range cells {
			x := x0 + (float64(c)+0.5)*(x1-x0)/cells
			cum[c+1] = cum[c] + (math.Exp(-x*x/2)-l.low)/(l.high-l.low)/cells
		}
		kept := cum[cells]
		cdf := func(x float64) float64 {
			at := min(max((x-x0)/(x1-x0), 0), 1) * cells
			c := min(int(at), cells-1)
			inWedge := cum[c] + (cum[c+1]-cum[c])*(at-float64(c))
			return inWedge + (1-kept)*phi(x)
		}
		s := New(6).stream(Probe, uint64(index), 0)
		values := make([]float32, n)
		points := make([]uint32, n)
		New(8).Uint32s(points, Probe, uint64(index), 0)
		for i := range values {
			u := float64(points[i]) / (1 << 32)
			x := x0 + u*(x1-x0)
			v := int32(x/float64(l.scale)) | 1
			if v >= 1<<24 {
				v -= 2
			}
			values[i] = s.normalOutside(uint32(v>>1)<<8|uint32(index), uint32(i))
		}
		checkKS(t, "wedge", values, cdf)
	}
}

func TestZigguratTable(t *testing.T) {
	area := tailStart*math.Exp(-tailStart*tailStart/2) + math.Sqrt(2*math.Pi)*phi(-tailStart)
	for i, l := range ziggurat {
		x := float64(l.scale) * (1 << 24)
		if i == 0 {
			if got := x * math.Exp(-tailStart*tailStart/2); math.Abs(got/area-1) > 1e-7 {
				t.Errorf("layer 0 has area %v, want %v", got, area)
			}
			if got := float64(l.inner) / (1 << 24) * x; math.Abs(got-tailStart) > 1e-6 {
				t.Errorf("layer 0 ends its rectangle at %v, want %v", got, tailStart)
			}
			continue
		}
		if got := x * (l.high - l.low); math.Abs(got/area-1) > 1e-7 {
			t.Errorf("layer %d has area %v, want %v", i, got, area)
		}
		if got := math.Exp(-x * x / 2); math.Abs(got-l.low) > 1e-7 {
			t.Errorf("layer %d begins at density %v, its edge has %v", i, l.low, got)
		}
		if edge := float64(l.inner) / (1 << 24) * x; math.Exp(-edge*edge/2) < l.high-1e-7 {
			t.Errorf("layer %d accepts %v, which is outside the density", i, edge)
		}
		if i > 1 && l.low != ziggurat[i-1].high {
			t.Errorf("layer %d begins at %v, the one below ends at %v", i, l.low, ziggurat[i-1].high)
		}
	}
	if top := ziggurat[255].high; top != 1 {
		t.Errorf("the last layer ends at %v, want 1", top)
	}
}

func TestLogarithm(t *testing.T) {
	s := New(9).Stream(Probe, 0, 0)
	for range 200_000 {
		a, b := s.Uint64(), s.Uint64()
		for _, x := range []float64{
			unit(uint32(a), uint32(a>>32)), unit(uint32(a), 0), 1 - float64(b>>20)*0x1p-60, 1 + float64(b>>40)*0x1p-60,
		} {
			got, want := logarithm(x), math.Log(x)
			if math.Abs(got-want) > 4e-16*max(math.Abs(want), 0x1p-50) {
				t.Fatalf("logarithm(%v) = %v, want %v", x, got, want)
			}
		}
	}
	if got := unit(0, 0); got != 0x1p-65 {
		t.Errorf("smallest uniform is %v, want 2^-65", got)
	}
}

func TestUniformDistribution(t *testing.T) {
	values := make([]float32, 1<<20)
	New(12).Uniform(values, Flip, 0, 0)
	counts := make([]float64, 1024)
	for _, v := range values {
		if v < 0 || v >= 1 {
			t.Fatalf("uniform number %v", v)
		}
		counts[int(v*1024)]++
	}
	checkChiSquare(t, "uniforms", counts, float64(len(values)))
	checkKS(t, "uniforms", values, func(x float64) float64 { return x })
}

// Streams whose keys differ in one place only, and neighbours in one stream,
// are uncorrelated, as are their squares.
func TestIndependence(t *testing.T) {
	const n = 1 << 20
	draw := func(seed uint64, p Purpose, sample uint64, step uint32) []float32 {
		dst := make([]float32, n)
		New(seed).Normal(dst, p, sample, step)
		return dst
	}
	base := draw(1, TrainNoise, 10, 20)
	others := map[string][]float32{
		"next index": base[1:], "two on": base[2:], "four on": base[4:], "a chunk on": base[chunk:],
		"next sample": draw(1, TrainNoise, 11, 20), "far sample": draw(1, TrainNoise, 10|1<<47, 20),
		"next step": draw(1, TrainNoise, 10, 21), "far step": draw(1, TrainNoise, 10, 20|1<<31),
		"next seed": draw(2, TrainNoise, 10, 20), "far seed": draw(1|1<<63, TrainNoise, 10, 20),
		"next purpose": draw(1, SampleStart, 10, 20), "sample and step exchanged": draw(1, TrainNoise, 20, 10),
	}
	for name, other := range others {
		var product, squares float64
		for i, b := range other {
			a, b := float64(base[i]), float64(b)
			product += a * b
			squares += (a*a - 1) * (b*b - 1)
		}
		m := float64(len(other))
		checkZ(t, "correlation with "+name, product/m, 0, 1/math.Sqrt(m))
		checkZ(t, "correlation of squares with "+name, squares/m, 0, 2/math.Sqrt(m))
	}

	// One number of each of many samples: the direction batches are made of.
	first := make([]float32, 1<<18)
	for i := range first {
		New(1).Normal(first[i:i+1], SampleStart, uint64(i), 0)
	}
	var product float64
	for i := 1; i < len(first); i++ {
		product += float64(first[i]) * float64(first[i-1])
	}
	checkZ(t, "correlation across samples", product/float64(len(first)), 0, 1/math.Sqrt(float64(len(first))))
	checkKS(t, "first numbers of samples", first, phi)
}
