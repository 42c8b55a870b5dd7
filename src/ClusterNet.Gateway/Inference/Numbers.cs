using System.Globalization;
using System.Numerics.Tensors;
using ClusterNet.Cluster.Serving;

namespace ClusterNet.Gateway.Inference;

/// <summary>Numbers of all data types as float32, never by losing a digit, and as the text of a cell. Shared by JSON, binary data and gRPC.</summary>
internal static class Numbers
{
    /// <summary>The least and the most of an integer type.</summary>
    public static (long Least, ulong Most) RangeOf(DataType type) => type switch
    {
        DataType.Int8 => (sbyte.MinValue, (ulong)sbyte.MaxValue),
        DataType.Int16 => (short.MinValue, (ulong)short.MaxValue),
        DataType.Int32 => (int.MinValue, int.MaxValue),
        DataType.Int64 => (long.MinValue, long.MaxValue),
        DataType.UInt8 => (0, byte.MaxValue),
        DataType.UInt16 => (0, ushort.MaxValue),
        DataType.UInt32 => (0, uint.MaxValue),
        _ => (0, ulong.MaxValue),
    };

    /// <exception cref="PredictionException">float32 can't hold it</exception>
    public static float Exact(long value, in TensorHead head, int index)
    {
        var number = (float)value;
        // 2^63, which the cast back can't tell from its neighbour, is no long
        return Math.Abs((double)value) <= 1 << 24 || (number < 9.223372e18f && (long)number == value) ? number : throw Inexact(head, index, value);
    }

    /// <exception cref="PredictionException">float32 can't hold it</exception>
    public static float Exact(ulong value, in TensorHead head, int index)
    {
        var number = (float)value;
        return value <= 1 << 24 || (number < 1.8446744e19f && (ulong)number == value) ? number : throw Inexact(head, index, value);
    }

    /// <exception cref="PredictionException">float32 can't hold it</exception>
    public static float Exact(double value, in TensorHead head, int index)
    {
        var number = (float)value;
        // NaN, which equals nothing, is judged with the others
        return number == value || double.IsNaN(value) ? number : throw Inexact(head, index, value);
    }

    /// <summary>BF16 is the upper half of a float32.</summary>
    public static float BFloat(ushort bits) => BitConverter.Int32BitsToSingle(bits << 16);

    /// <summary>A number of a cell; null for NaN, which is a missing value.</summary>
    /// <exception cref="PredictionException">it is infinite</exception>
    public static string? Cell(float value, in TensorHead head, int index) =>
        float.IsNaN(value) ? null : float.IsFinite(value) ? value.ToString("R", CultureInfo.InvariantCulture) : throw Infinite(head, index);

    /// <inheritdoc cref="Cell(float, in TensorHead, int)"/>
    public static string? Cell(double value, in TensorHead head, int index) =>
        double.IsNaN(value) ? null : double.IsFinite(value) ? value.ToString("R", CultureInfo.InvariantCulture) : throw Infinite(head, index);

    /// <summary>A truth value as the text of a cell.</summary>
    /// <param name="value">the value</param>
    /// <param name="isCategory">whether the column has categories, which are words, or numbers</param>
    public static string Cell(bool value, bool isCategory) => isCategory ? (value ? "true" : "false") : (value ? "1" : "0");

    /// <summary>Checks values that are there already.</summary>
    /// <exception cref="PredictionException">one is infinite, or NaN where nothing may be missing</exception>
    public static void CheckFinite(ReadOnlySpan<float> values, in TensorHead head, bool mayBeMissing)
    {
        if (TensorPrimitives.IsFiniteAll(values))
            return;
        for (var i = 0; i < values.Length; i++)
            CheckFinite(values[i], head, i, mayBeMissing);
    }

    /// <inheritdoc cref="CheckFinite(ReadOnlySpan{float}, in TensorHead, bool)"/>
    public static float CheckFinite(float value, in TensorHead head, int index, bool mayBeMissing) =>
        float.IsFinite(value) || (mayBeMissing && float.IsNaN(value)) ? value
        : float.IsNaN(value) ? throw Refusal.Invalid(PlaceOf(head, index), "NaN where a finite number belongs")
        : throw Infinite(head, index);

    /// <summary>Where a value is.</summary>
    public static string PlaceOf(in TensorHead head, int index) => $"{head.DataPlace}[{index}]";

    private static PredictionException Infinite(in TensorHead head, int index) => Refusal.Invalid(PlaceOf(head, index), "an infinite number; a finite one belongs here");

    private static PredictionException Inexact(in TensorHead head, int index, IConvertible value) => Refusal.Invalid(
        PlaceOf(head, index), $"{value.ToString(CultureInfo.InvariantCulture)} can't be had as FP32 without loss, which is what the model computes with; give FP32");
}
