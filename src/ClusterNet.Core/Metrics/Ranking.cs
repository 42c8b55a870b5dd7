namespace ClusterNet.Core.Metrics;

/// <summary>Metrics of how well scores put positives before negatives.</summary>
internal static class Ranking
{
    /// <summary>
    /// Area under the ROC curve (the Mann-Whitney statistic, ties half) and average precision. Both are NaN without positives, the first without negatives too, and where a score is
    /// NaN. The order in which samples come does not matter.
    /// </summary>
    public static (double RocAuc, double AveragePrecision) Areas(float[] scores, bool[] isPositive)
    {
        if (scores.Any(float.IsNaN))
            return (double.NaN, double.NaN);
        Array.Sort(scores, isPositive);
        var positives = isPositive.LongCount(positive => positive);
        var negatives = scores.Length - positives;
        var (truePositives, falsePositives, wins, averagePrecision) = (0L, 0L, 0L, 0.0);
        var end = scores.Length;
        while (end > 0)
        {
            var (score, tiedPositives, tiedNegatives) = (scores[end - 1], 0L, 0L);
            for (; end > 0 && scores[end - 1] == score; end--)
            {
                if (isPositive[end - 1])
                    tiedPositives++;
                else
                    tiedNegatives++;
            }
            truePositives += tiedPositives;
            falsePositives += tiedNegatives;
            // twice the pairs that these positives win: all negatives below, and half of the tied
            wins += tiedPositives * (2 * (negatives - falsePositives) + tiedNegatives);
            averagePrecision += (double)tiedPositives / positives * ((double)truePositives / (truePositives + falsePositives));
        }
        return (wins / (2.0 * positives * negatives), positives == 0 ? double.NaN : averagePrecision);
    }
}
