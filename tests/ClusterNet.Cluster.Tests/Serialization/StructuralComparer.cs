using System.Collections;
using System.Reflection;
using System.Runtime.InteropServices;
using Akka.Actor;
using ClusterNet.Cluster.Parameters;

namespace ClusterNet.Cluster.Tests.Serialization;

/// <summary>Compares messages by all they hold: lists by content, floats bit by bit, objects field by field.</summary>
internal static class StructuralComparer
{
    public static void AssertSame(object expected, object actual) => Assert.Equal([], Differences(expected.GetType().Name, expected, actual));

    private static IEnumerable<string> Differences(string path, object? expected, object? actual)
    {
        switch (expected, actual)
        {
            case (null, null):
                return [];
            case (null, _) or (_, null):
                return [$"{path}: {expected ?? "null"} became {actual ?? "null"}"];
            case (double x, double y):
                return Same(path, BitConverter.DoubleToInt64Bits(x), BitConverter.DoubleToInt64Bits(y));
            case (float x, float y):
                return Same(path, BitConverter.SingleToInt32Bits(x), BitConverter.SingleToInt32Bits(y));
            case (DateTimeOffset x, DateTimeOffset y):
                return x.EqualsExact(y) ? [] : [$"{path}: {x:O} became {y:O}"];
            case (TensorPayload x, TensorPayload y):
                return Same(path, x.Span, y.Span);
            case (ReadOnlyMemory<float> x, ReadOnlyMemory<float> y):
                return Same(path, x.Span, y.Span);
            case (ReadOnlyMemory<byte> x, ReadOnlyMemory<byte> y):
                return x.Span.SequenceEqual(y.Span) ? [] : [$"{path}: other bytes"];
            case (string or Enum or TimeSpan or IActorRef, _):
                return Same(path, expected, actual);
            case (IDictionary x, IDictionary y):
                return Same($"{path}.Count", x.Count, y.Count)
                    .Concat(x.Keys.Cast<object>().SelectMany(key => y.Contains(key) ? Differences($"{path}[{key}]", x[key], y[key]) : [$"{path}[{key}] is gone"]));
            case (IEnumerable x, IEnumerable y):
                var (left, right) = (x.Cast<object?>().ToList(), y.Cast<object?>().ToList());
                return Same($"{path}.Count", left.Count, right.Count)
                    .Concat(left.Zip(right, (a, b) => (Left: a, Right: b)).SelectMany((pair, i) => Differences($"{path}[{i}]", pair.Left, pair.Right)));
            default:
                return expected.GetType() != actual.GetType() ? [$"{path}: {expected.GetType()} became {actual.GetType()}"]
                    : expected.GetType().IsPrimitive ? Same(path, expected, actual)
                    : FieldsOf(expected.GetType()).SelectMany(field => Differences($"{path}.{NameOf(field)}", field.GetValue(expected), field.GetValue(actual)));
        }
    }

    // fields, since a property may lead on for ever: the generation after a generation
    private static IEnumerable<FieldInfo> FieldsOf(Type? type) => type is null ? []
        : type.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly).Concat(FieldsOf(type.BaseType));

    private static string NameOf(FieldInfo field) => field.Name.Split('>')[0].TrimStart('<');

    private static string[] Same(string path, object expected, object actual) => expected.Equals(actual) ? [] : [$"{path}: {expected} became {actual}"];

    private static string[] Same(string path, ReadOnlySpan<float> expected, ReadOnlySpan<float> actual) =>
        MemoryMarshal.AsBytes(expected).SequenceEqual(MemoryMarshal.AsBytes(actual)) ? [] : [$"{path}: other values"];
}
