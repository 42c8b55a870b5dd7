using ClusterNet.Cluster.Training;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Metrics;
using ScottPlot;
using ScottPlot.TickGenerators;
using SkiaSharp;

namespace ClusterNet.Node.Output;

/// <summary>The picture of a training: the loss by step, and below it the validation metric with the best epoch marked.</summary>
internal static class LossPlot
{
    private const int Width = 1000;
    private const int HeightOfOne = 420;
    private const int HeightOfTwo = 720;
    private const int SmoothingPoints = 60;

    private static readonly Color Ink = Color.FromHex("#1f2933");
    private static readonly Color Faint = Color.FromHex("#e4e7eb");
    private static readonly Color Training = Color.FromHex("#2f6fb3");
    private static readonly Color Validation = Color.FromHex("#d9622b");
    private static readonly Color Best = Color.FromHex("#1e8449");

    /// <summary>What is wrong with a path for a picture; nothing for null.</summary>
    public static IReadOnlyList<Fault> Check(string? path)
    {
        if (path is null)
            return [];
        if (Path.GetExtension(path).ToLowerInvariant() is not (".png" or ".svg"))
            return [new Fault("--plot", $"'{path}' ends neither in .png nor in .svg")];
        if (Directory.Exists(path))
            return [new Fault("--plot", $"'{path}' is a folder")];
        return AtomicFile.Check("--plot", path);
    }

    /// <summary>Draws into a file, whole or not at all.</summary>
    /// <param name="job">with at least one loss or one epoch</param>
    /// <param name="path">ends in .png or .svg</param>
    public static void Save(JobDetails job, string path)
    {
        using var picture = new MemoryStream();
        using var losses = LossPanel(job);
        using var validation = PanelMetric(job) is { } metric ? MetricPanel(job, metric) : null;
        var height = validation is null ? HeightOfOne : HeightOfTwo;

        var multiplot = new Multiplot();
        multiplot.RemovePlot(multiplot.GetPlot(0));
        multiplot.AddPlot(losses);
        if (validation is not null)
        {
            multiplot.AddPlot(validation);
            AlignHorizontally(losses, validation);
        }

        if (Path.GetExtension(path).Equals(".svg", StringComparison.OrdinalIgnoreCase))
        {
            using (var canvas = SKSvgCanvas.Create(SKRect.Create(Width, height), picture))
                multiplot.Render(canvas, new PixelRect(0, Width, height, 0));
        }
        else
        {
            using var surface = SKSurface.Create(new SKImageInfo(2 * Width, 2 * height));
            surface.Canvas.Scale(2);
            multiplot.Render(surface.Canvas, new PixelRect(0, Width, height, 0));
            using var image = surface.Snapshot();
            using var data = image.Encode(SKEncodedImageFormat.Png, 100);
            data.SaveTo(picture);
        }
        AtomicFile.Write(path, picture.GetBuffer().AsSpan(0, (int)picture.Length));
    }

    /// <summary>Whether letters in a .png come out: without a single font installed they don't.</summary>
    public static bool HasFonts => SKFontManager.Default.FontFamilyCount > 0;

    // the metric that the job goes by; where that is the loss, which has its panel, the first that people ask for
    private static string? PanelMetric(JobDetails job) =>
        new[] { job.Spec.Training.Metric, MetricNames.Accuracy, MetricNames.R2 }.FirstOrDefault(name => name != MetricNames.Loss && job.Epochs.Any(epoch => epoch.Validation.ContainsKey(name)));

    private static Plot LossPanel(JobDetails job)
    {
        var plot = Panel($"{job.Summary.Job}: loss", "loss");
        var smooth = Smooth([.. job.Losses.Select(point => point.Loss)]);
        var validated = job.Epochs.Where(epoch => epoch.Validation.ContainsKey(MetricNames.Loss)).ToArray();
        // losses that fall over orders of magnitude show nothing on an even scale
        var positive = smooth.Concat(validated.Select(epoch => epoch.Validation[MetricNames.Loss])).Where(loss => loss > 0 && double.IsFinite(loss)).ToArray();
        var isLogarithmic = positive.Length > 0 && positive.Max() > 50 * positive.Min();
        if (isLogarithmic)
            UseLogScale(plot);

        var isNoisy = job.Losses.Count > 3 * SmoothingPoints;
        var steps = job.Losses.Select(point => point.Step).ToArray();
        if (isNoisy)
            Curve(plot, steps, [.. job.Losses.Select(point => point.Loss)], Training.WithAlpha(0.25), 1, isLogarithmic);
        if (steps.Length > 0)
        {
            Curve(plot, steps, isNoisy ? smooth : [.. job.Losses.Select(point => point.Loss)], Training, 2, isLogarithmic).LegendText =
                isNoisy ? "training, by step, smoothed" : "training, by step";
        }
        if (validated.Length > 0)
        {
            Curve(plot, [.. validated.Select(epoch => epoch.Step)], [.. validated.Select(epoch => epoch.Validation[MetricNames.Loss])], Validation, 2, isLogarithmic).LegendText =
                "validation, by epoch";
        }
        MarkBest(plot, job, MetricNames.Loss, isLogarithmic);
        Finish(plot, job, Alignment.UpperRight);
        return plot;
    }

    private static Plot MetricPanel(JobDetails job, string metric)
    {
        var plot = Panel($"validation {metric}", metric);
        var points = job.Epochs.Where(epoch => epoch.Validation.ContainsKey(metric)).ToArray();
        Curve(plot, [.. points.Select(epoch => epoch.Step)], [.. points.Select(epoch => epoch.Validation[metric])], Validation, 2, isLogarithmic: false).LegendText = $"{metric}, by epoch";
        MarkBest(plot, job, metric, isLogarithmic: false);
        Finish(plot, job, MetricNames.All.Contains(metric) && MetricNames.HigherIsBetter(metric) ? Alignment.LowerRight : Alignment.UpperRight);
        return plot;
    }

    private static Plot Panel(string title, string label)
    {
        var plot = new Plot();
        plot.Font.Set("DejaVu Sans");
        plot.FigureBackground.Color = Colors.White;
        plot.Axes.Color(Ink);
        plot.Axes.Title.Label.Text = title;
        plot.Axes.Title.Label.FontSize = 16;
        plot.Axes.Title.Label.Bold = true;
        plot.Axes.Left.Label.Text = label;
        plot.Axes.Left.Label.Bold = false;
        plot.Axes.Bottom.Label.Text = "step";
        plot.Axes.Bottom.Label.Bold = false;
        plot.Axes.Right.FrameLineStyle.IsVisible = false;
        plot.Axes.Top.FrameLineStyle.IsVisible = false;
        plot.Grid.MajorLineColor = Faint;
        plot.Grid.MajorLineWidth = 1;
        return plot;
    }

    private static ScottPlot.Plottables.Scatter Curve(Plot plot, long[] steps, double[] values, Color color, float width, bool isLogarithmic)
    {
        var points = steps.Zip(values, (step, value) => (Step: step, Value: value)).Where(point => double.IsFinite(point.Value) && (!isLogarithmic || point.Value > 0)).ToArray();
        var curve = plot.Add.Scatter(points.Select(point => (double)point.Step).ToArray(), points.Select(point => isLogarithmic ? Math.Log10(point.Value) : point.Value).ToArray());
        curve.Color = color;
        curve.LineWidth = width;
        curve.MarkerSize = points.Length <= SmoothingPoints ? 5 : 0;
        return curve;
    }

    private static void MarkBest(Plot plot, JobDetails job, string metric, bool isLogarithmic)
    {
        if (job.Epochs.LastOrDefault(epoch => epoch.IsBest && epoch.Validation.ContainsKey(metric)) is not { } best)
            return;
        var line = plot.Add.VerticalLine(best.Step, 1.5f, Best, LinePattern.Dashed);
        line.LegendText = $"best epoch: {best.Epoch} ({metric} {Figures.Metric(best.Validation[metric])})";
        if (isLogarithmic && best.Validation[metric] <= 0)
            return;
        var marker = plot.Add.Marker(best.Step, isLogarithmic ? Math.Log10(best.Validation[metric]) : best.Validation[metric], MarkerShape.FilledCircle, 11, Best);
        marker.MarkerLineColor = Colors.White;
        marker.MarkerLineWidth = 2;
    }

    private static void UseLogScale(Plot plot)
    {
        plot.Axes.Left.TickGenerator = new NumericAutomatic
        {
            MinorTickGenerator = new LogMinorTickGenerator(),
            IntegerTicksOnly = true,
            LabelFormatter = power => Math.Pow(10, power).ToString("0.######", System.Globalization.CultureInfo.InvariantCulture),
        };
        plot.Axes.Left.Label.Text += " (logarithmic)";
    }

    private static void Finish(Plot plot, JobDetails job, Alignment legend)
    {
        plot.Legend.Alignment = legend;
        plot.Legend.OutlineColor = Faint;
        plot.Legend.ShadowColor = Colors.Transparent;
        plot.Legend.FontSize = 12;
        plot.ShowLegend();
        plot.Axes.AutoScale();
        var last = Math.Max(job.Losses.Select(point => point.Step).DefaultIfEmpty(1).Max(), job.Epochs.Select(epoch => epoch.Step).DefaultIfEmpty(1).Max());
        plot.Axes.SetLimitsX(0, last * 1.02);
    }

    private static void AlignHorizontally(Plot upper, Plot lower)
    {
        foreach (var plot in new[] { upper, lower })
        {
            plot.Axes.Left.MinimumSize = 80;
            plot.Axes.Left.MaximumSize = 80;
        }
    }

    // an exponential mean, started at the first value
    private static double[] Smooth(double[] values)
    {
        var weight = 2.0 / (values.Length / (double)SmoothingPoints + 1);
        var smooth = new double[values.Length];
        for (var i = 0; i < values.Length; i++)
            smooth[i] = i == 0 || !double.IsFinite(smooth[i - 1]) ? values[i] : smooth[i - 1] + weight * (values[i] - smooth[i - 1]);
        return smooth;
    }
}
