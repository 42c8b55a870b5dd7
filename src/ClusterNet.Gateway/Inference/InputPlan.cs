using ClusterNet.Cluster.Serving;
using ClusterNet.Data;
using ClusterNet.Gateway.Inference.SharedMemory;

namespace ClusterNet.Gateway.Inference;

/// <summary>What a tensor of a request becomes.</summary>
internal enum InputKind
{
    /// <summary>What the module sees.</summary>
    Prepared,

    /// <summary>The one array of a model that takes arrays.</summary>
    Array,

    /// <summary>A column of raw features, or several side by side.</summary>
    Column,
}

/// <summary>An input that a version takes.</summary>
/// <param name="Name">unique</param>
/// <param name="Kind">what it becomes</param>
/// <param name="Column">its place among the columns</param>
/// <param name="Shape">with the batch axis first; -1 where free</param>
/// <param name="IsCategory">whether it has categories</param>
internal sealed record InputSlot(string Name, InputKind Kind, int Column, IReadOnlyList<long> Shape, bool IsCategory)
{
    /// <summary>Number of samples that a tensor of this shape brings.</summary>
    /// <exception cref="PredictionException">the shape is not one that this input takes</exception>
    public int SamplesOf(in TensorHead head, int most)
    {
        if (!Fits(head.Shape))
            throw Refusal.Invalid(head.Place + ".shape", $"{head.ShownShape}; '{Name}' takes [{string.Join(", ", Shape)}], with the number of samples first");
        if (head.Shape[0] == 0)
            throw Refusal.Invalid(head.Place + ".shape", $"{head.ShownShape} has no samples; there is nothing to predict");
        if (head.Shape[0] > most)
            throw Refusal.Invalid(head.Place + ".shape", $"{head.Shape[0]} samples; at most {most} are taken at once");
        if (head.Elements == 0)
            throw Refusal.Invalid(head.Place + ".shape", $"{head.ShownShape} has no values");
        return (int)head.Shape[0];
    }

    /// <summary>Whether a sample has a row of its values, not one.</summary>
    public bool IsWide => Shape.Count > 1 && Shape[1] != 1;

    private bool Fits(long[] shape)
    {
        // a column has one value a sample, with or without an axis that says so
        if (Kind == InputKind.Column && !IsWide)
            return shape.Length == 1 || (shape.Length == 2 && shape[1] == 1);
        if (shape.Length != Shape.Count)
            return false;
        for (var i = 1; i < shape.Length; i++)
        {
            if (Shape[i] >= 0 && Shape[i] != shape[i])
                return false;
        }
        return true;
    }
}

/// <summary>How a version's requests are read: what each input becomes.</summary>
internal sealed class InputPlan
{
    private readonly Dictionary<string, InputSlot> _slots = new(StringComparer.Ordinal);

    private InputPlan(ServedVersion version) => Version = version;

    /// <summary>The version.</summary>
    public ServedVersion Version { get; }

    /// <summary>The columns' names in their order; empty where the version takes an array.</summary>
    public IReadOnlyList<string> Columns { get; private init; } = [];

    /// <summary>The most inputs of a request: no version takes more of them than it has columns.</summary>
    public int MostInputs(InferenceSettings settings) => Math.Max(settings.MaxTensors, Columns.Count);

    /// <summary>The plan for a version.</summary>
    public static InputPlan Of(ServedVersion version)
    {
        var inputs = version.Inputs;
        // a column has one value a sample
        var isArray = inputs.Count == 1 && inputs[0].Shape.Count > 1 && inputs[0].Type != DataTypes.NameOf(DataType.Bytes);
        var plan = new InputPlan(version) { Columns = isArray ? [] : [.. inputs.Select(input => input.Name)] };
        plan._slots[TensorSignature.PreparedName] = new InputSlot(TensorSignature.PreparedName, InputKind.Prepared, 0, [-1, .. version.Version.Signature.Shape.Select(axis => (long)axis)], false);
        // a raw input of that name comes before what everybody calls the prepared one
        foreach (var (column, input) in inputs.Index())
            plan._slots[input.Name] = new InputSlot(input.Name, isArray ? InputKind.Array : InputKind.Column, column, input.Shape, input.Categories is not null);
        return plan;
    }

    /// <summary>The input of a name.</summary>
    /// <exception cref="PredictionException">there is none</exception>
    public InputSlot Find(string name, string place) =>
        _slots.TryGetValue(name, out var slot) ? slot : throw Refusal.Unknown(place, "input", name, Version.Inputs.Select(input => input.Name).Append(TensorSignature.PreparedName));
}

/// <summary>Puts the tensors of one request together.</summary>
/// <param name="plan">of the version that is asked</param>
/// <param name="settings">bounds</param>
/// <param name="memory">what the caller may use; null for none</param>
internal sealed class InputAssembly(InputPlan plan, InferenceSettings settings, SharedRegions? memory = null)
{
    // values in shared memory may cost no more than those of a body
    private ulong _sharedBytes = (ulong)settings.MaxBodyBytes;

    private readonly string?[]?[] _columns = new string?[]?[plan.Columns.Count];
    private ModelInput? _whole;
    private string? _first;
    private int _samples = -1;
    private int _given;

    /// <summary>Whether a type and shape can be what an input takes. Asked before the values are read.</summary>
    /// <exception cref="PredictionException">they can't, or the input came before</exception>
    public InputSlot Expect(in TensorHead head)
    {
        var slot = plan.Find(head.Name, head.Place + ".name");
        if (head.Type == DataType.Bytes && slot.Kind != InputKind.Column)
            throw Refusal.Invalid(head.Place + ".datatype", $"BYTES; '{head.Name}' takes FP32");
        var samples = slot.SamplesOf(head, settings.MaxSamples);
        if (_whole is not null || (slot.Kind != InputKind.Column && _given > 0))
            throw Refusal.Invalid(head.Place, $"'{head.Name}' beside '{_first}'; '{(slot.Kind == InputKind.Column ? _first : head.Name)}' is all that the model takes, and goes alone");
        if (slot.Kind == InputKind.Column && _columns[slot.Column] is not null)
            throw Refusal.Invalid(head.Place, $"'{head.Name}' is there twice");
        if (_samples >= 0 && samples != _samples)
            throw Refusal.Invalid(head.Place + ".shape", $"{samples} samples, where '{_first}' has {_samples}");
        _samples = samples;
        _first ??= head.Name;
        return slot;
    }

    /// <summary>The values of an input from shared memory.</summary>
    /// <exception cref="PredictionException">they are not there, don't fit, or are more than a request can bring</exception>
    public void AddShared(in SharedPart part, in TensorHead head)
    {
        var place = $"{head.Place}.parameters.{SharedPart.RegionName}";
        var regions = SharedRegions.Of(memory, place);
        if (part.ByteSize > _sharedBytes)
            throw Refusal.Invalid(place, $"{part.ByteSize} bytes, and {_sharedBytes} of {settings.MaxBodyBytes} that a request may have in shared memory are left");
        _sharedBytes -= part.ByteSize;
        JsonRequestReader.Take(regions.Read(part, place), head, this);
    }

    /// <summary>The values of an array or of prepared samples.</summary>
    public void Add(InputSlot slot, in TensorHead head, float[] values)
    {
        _given++;
        int[] shape = [.. head.Shape.Skip(1).Select(axis => (int)axis)];
        _whole = slot.Kind == InputKind.Prepared ? new ModelInput.Prepared(shape, values) : new ModelInput.Raw(new RawSamples.Array(shape, values, []));
    }

    /// <summary>The cells of a column.</summary>
    public void Add(InputSlot slot, string?[] cells)
    {
        _given++;
        _columns[slot.Column] = cells;
    }

    /// <summary>All of it.</summary>
    /// <exception cref="PredictionException">something is missing</exception>
    public ModelInput Build()
    {
        if (_whole is not null)
            return _whole;
        if (_given < _columns.Length || _samples < 0)
            throw Refusal.Invalid("inputs", $"without {Refusal.Listed(plan.Version.Inputs.Select(input => input.Name).Where((_, column) => column >= _columns.Length || _columns[column] is null))}, which the model needs; give all of its inputs, or '{TensorSignature.PreparedName}' alone");
        // most columns have one cell a sample; a wide one has several, side by side
        string[] names = [.. plan.Columns.SelectMany((name, column) => Enumerable.Repeat(name, WidthOf(column)))];
        var rows = new string?[_samples][];
        for (var row = 0; row < rows.Length; row++)
        {
            var cells = new string?[names.Length];
            var next = 0;
            for (var column = 0; column < _columns.Length; column++)
            {
                var width = WidthOf(column);
                _columns[column].AsSpan(row * width, width).CopyTo(cells.AsSpan(next));
                next += width;
            }
            rows[row] = cells;
        }
        return new ModelInput.Raw(new RawSamples.Table(names, rows));
    }

    private int WidthOf(int column) => _columns[column]!.Length / _samples;
}
