// Package reproduce repeats the experiments of the paper (Li, Chen, Sommer,
// "Learning Energy-Based Models in High-Dimensional Spaces with Multiscale
// Denoising-Score Matching", Entropy 2023, 25(10), 1367): each of its figures
// and tables that a trained model can give is an [Item], which makes or takes
// the models that it needs, measures, and puts the paper's number beside its
// own.
//
// A [Scale] says how much work that is: the paper's own settings, a small form of
// all of them that shares the shipped models and fits an hour of two processor
// cores, or a form of a minute that only says that every part works.
//
// [Run] fills a folder:
//
//	runs/                      trainings and samples that items share
//	ITEM/result.json           the paper's values, ours, settings, seconds, what differs
//	ITEM/report.html           the item's pictures, charts and tables
//	report.html report.json    all items
//	summary.md summary.json    their numbers
//
// Trainings and samples go on where they were stopped, and an item whose result
// is there is not measured again.
package reproduce
