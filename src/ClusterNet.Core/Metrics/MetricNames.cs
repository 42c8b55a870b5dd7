using System.Globalization;
using ClusterNet.Core.Jobs;

namespace ClusterNet.Core.Metrics;

/// <summary>
/// The names of metrics, as reports and job files have them. What is said of undefined values: they are left out of a report, not given as 0.
/// </summary>
public static class MetricNames
{
    /// <summary>Sum of weight x loss over sum of weights, of the samples.</summary>
    public const string Loss = "loss";

    /// <summary>Fraction of samples whose most probable class (the first of equals) is theirs.</summary>
    public const string Accuracy = "accuracy";

    /// <summary>Mean recall over the classes that have samples.</summary>
    public const string BalancedAccuracy = "balanced-accuracy";

    /// <summary>TP / (TP + FP): of class 1 where there are two classes, else the macro average. Undefined where a class is never predicted.</summary>
    public const string Precision = "precision";

    /// <summary>TP / (TP + FN): of class 1 where there are two classes, else the macro average.</summary>
    public const string Recall = "recall";

    /// <summary>TN / (TN + FP): of class 1 where there are two classes, else the macro average.</summary>
    public const string Specificity = "specificity";

    /// <summary>2 TP / (2 TP + FP + FN): of class 1 where there are two classes, else the macro average.</summary>
    public const string F1 = "f1";

    /// <summary>
    /// Area under the receiver operating characteristic, ties counted half: of the probability of class 1 where there are two classes, else the macro average of one class against
    /// the rest over the classes that have samples. Undefined with samples of one class only.
    /// </summary>
    public const string RocAuc = "roc-auc";

    /// <summary>Area under precision over recall as average precision, sum of (R_n - R_(n-1)) P_n, equal scores taken together; averaged like <see cref="RocAuc"/>.</summary>
    public const string PrAuc = "pr-auc";

    /// <summary>Brier score: mean of (p1 - y)^2 with two classes; with more, the mean of the sum over the classes of (p_k - y_k)^2 (Brier 1950), at most 2.</summary>
    public const string Brier = "brier";

    /// <summary>Expected calibration error of the highest probability in 15 bins of equal width, ((m - 1)/15, m/15] (Guo et al. 2017, equation 3).</summary>
    public const string Ece = "ece";

    /// <summary>Mean squared error.</summary>
    public const string Mse = "mse";

    /// <summary>Mean absolute error.</summary>
    public const string Mae = "mae";

    /// <summary>Square root of the mean squared error.</summary>
    public const string Rmse = "rmse";

    /// <summary>Coefficient of determination, 1 - sum of squared errors / sum of squares about the mean target. Undefined where all targets are equal.</summary>
    public const string R2 = "r2";

    /// <summary>Suffix: the mean over the classes that occur among labels or predictions; one that is undefined counts as 0, as in scikit-learn.</summary>
    public const string Macro = "-macro";

    /// <summary>Suffix: the mean over classes, each by its number of samples.</summary>
    public const string Weighted = "-weighted";

    private static readonly string[] PerClass = [Precision, Recall, Specificity, F1];

    private static readonly string[] Classification =
    [
        Loss, Accuracy, BalancedAccuracy, .. PerClass, .. PerClass.Select(name => name + Macro), .. PerClass.Select(name => name + Weighted), RocAuc, PrAuc, Brier, Ece,
    ];

    private static readonly string[] Regression = [Loss, Mse, Rmse, Mae, R2];

    /// <summary>The names of both tasks, without those of single classes.</summary>
    public static IReadOnlyList<string> All { get; } = [.. Classification.Union(Regression)];

    /// <summary>The names of a task's metrics.</summary>
    /// <param name="task">the task</param>
    /// <param name="classes">adds the names of single classes (<c>recall/2</c>), for this many</param>
    public static IReadOnlyList<string> ForTask(LearningTask task, int classes = 0) => task == LearningTask.Regression
        ? Regression
        : [.. Classification, .. Enumerable.Range(0, classes).SelectMany(label => PerClass.Select(name => OfClass(name, label)))];

    /// <summary>The name of a metric of one class: <c>f1/2</c>.</summary>
    public static string OfClass(string name, int label) => string.Create(CultureInfo.InvariantCulture, $"{name}/{label}");

    /// <summary>Whether a report of this task can hold the name; of single classes any, since how many there are is only known with the data.</summary>
    public static bool IsKnown(LearningTask task, string name) => ForTask(task).Contains(name) || (task == LearningTask.Classification && IsOfClass(name));

    /// <summary>Whether more is better. False for losses and errors.</summary>
    /// <exception cref="ArgumentException">no metric has this name</exception>
    public static bool HigherIsBetter(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        if (name is Loss or Brier or Ece or Mse or Mae or Rmse)
            return false;
        return All.Contains(name) || IsOfClass(name) ? true : throw new ArgumentException($"no metric '{name}'", nameof(name));
    }

    private static bool IsOfClass(string name)
    {
        var slash = name.IndexOf('/', StringComparison.Ordinal);
        return slash > 0 && PerClass.Contains(name[..slash]) && int.TryParse(name.AsSpan(slash + 1), NumberStyles.None, CultureInfo.InvariantCulture, out _);
    }
}

/// <summary>What the metrics of some samples are.</summary>
/// <param name="Samples">how many</param>
/// <param name="Values">by name (<see cref="MetricNames"/>); values that are undefined or not finite are left out</param>
/// <param name="Confusion">samples by true class (row) and predicted class (column); empty for regression</param>
public sealed record MetricReport(long Samples, IReadOnlyDictionary<string, double> Values, IReadOnlyList<long[]> Confusion);
